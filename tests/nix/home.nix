# `homeModules.bridge` in a configuration that has, of home-manager's options, those that the module reads and sets:
# `import ./home.nix SYSTEM MODULE` is what `lib.evalModules` gives.
system: module:
let
  flake = import ./evaluate.nix;
  inherit (flake.inputs.nixpkgs) lib;
  inherit (lib) mkOption types;

  pkgs = import flake.inputs.nixpkgs {
    inherit system;
    overlays = [ flake.overlays.default ];
  };

  # Types as in home-manager's modules of these names.
  homeManager.options = {
    assertions = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
    home.homeDirectory = mkOption { type = types.path; };
    home.packages = mkOption {
      type = types.listOf types.package;
      default = [ ];
    };
    systemd.user.services = mkOption {
      type =
        let
          primitive = types.nullOr (
            types.oneOf [
              types.bool
              types.int
              types.str
              types.path
            ]
          );
        in
        types.attrsOf (types.attrsOf (types.attrsOf (types.either primitive (types.listOf primitive))));
      default = { };
    };
    launchd.agents = mkOption {
      type = types.attrsOf (
        types.submodule {
          options.enable = lib.mkEnableOption "the agent";
          options.config = mkOption {
            type = types.submodule { freeformType = (pkgs.formats.json { }).type; };
            default = { };
          };
        }
      );
      default = { };
    };
  };
in
lib.evalModules {
  modules = [
    homeManager
    flake.homeModules.bridge
    {
      _module.args.pkgs = pkgs;
      home.homeDirectory = if pkgs.stdenv.hostPlatform.isDarwin then "/Users/ada" else "/home/ada";
    }
    module
  ];
}
