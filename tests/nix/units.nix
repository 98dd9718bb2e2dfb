# The text of every unit of ours on every host, as { host = { unit = text; }; }; units of users are under "user/".
let
  flake = import ./evaluate.nix;
  inherit (flake.inputs.nixpkgs) lib;
  texts =
    prefix: units:
    lib.mapAttrs' (name: unit: lib.nameValuePair (prefix + name) unit.text) (
      lib.filterAttrs (name: _: lib.hasPrefix "bawn-" name) units
    );
in
lib.mapAttrs (
  _: host:
  texts "" host.config.systemd.units // texts "user/" host.config.systemd.user.units
) flake.nixosConfigurations
