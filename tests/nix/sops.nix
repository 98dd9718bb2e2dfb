# Of sops-nix's module for NixOS, the options that hosts/*/sops.nix read and set.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.sops = {
    defaultSopsFile = mkOption { type = types.path; };
    age.sshKeyPaths = mkOption {
      type = types.listOf types.path;
      default = [ ];
    };
    secrets = mkOption {
      type = types.attrsOf (
        types.submodule (
          { name, ... }:
          {
            options.path = mkOption {
              type = types.str;
              default = "/run/secrets/${name}";
            };
          }
        )
      );
      default = { };
    };
  };
}
