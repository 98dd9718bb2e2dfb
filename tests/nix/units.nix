# The text of every unit of ours on every host, and the scripts that they start, as { host = { unit = text; }; }.
let
  flake = import ./evaluate.nix;
  inherit (flake.inputs.nixpkgs) lib;
  ours = lib.filterAttrs (name: _: lib.hasPrefix "bawn-" name);
in
lib.mapAttrs (_: host: lib.mapAttrs (_: unit: unit.text) (ours host.config.systemd.units)) flake.nixosConfigurations
