# How a service's settings file comes about: what the fleet renders, with the operator's `settings` on top.
# Not a module: `settingsFile = import ./settings.nix { inherit lib pkgs; };`.
{ lib, pkgs }:
{
  # The name of the file, without its suffix.
  name,
  # Folder that `bawn fleet render` wrote, or null for a host without a fleet.
  rendered,
  # What goes on top; lists replace lists.
  settings,
  # A further jq filter over the whole.
  filter ? ".",
}:
let
  ours = pkgs.writeText "${name}-settings.json" (builtins.toJSON settings);
  files = lib.optional (rendered != null) "${rendered}/${name}.json" ++ [ ours ];
in
pkgs.runCommand "bawn-${name}.json"
  {
    nativeBuildInputs = [ pkgs.jq ];
    # What the file is made of beside the fleet, for whoever makes it without Nix.
    passthru.source = { inherit settings filter; };
  }
  ''
    jq --slurp --sort-keys --from-file ${pkgs.writeText "${name}.jq" "reduce .[] as $part ({}; . * $part) | ${filter}"} ${lib.concatStringsSep " " files} > $out
  ''
