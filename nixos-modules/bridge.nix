# The bridge on a NixOS laptop: a unit of each user who has a key.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.bridge;
  unit = import ./bridge-unit.nix;

  settings = import ./settings.nix { inherit lib pkgs; } {
    name = "bridge";
    rendered = if config.bawn.role == "laptop" then config.bawn.rendered else null;
    inherit (cfg) settings;
  };
in
{
  imports = [
    ./fleet.nix
    ./packages.nix
    ./tailnet.nix
  ];

  options.bawn.bridge = {
    enable = mkOption {
      type = types.bool;
      default = config.bawn.role == "laptop";
      defaultText = lib.literalExpression ''config.bawn.role == "laptop"'';
      example = true;
      description = "Run the bridge in the session of every user who has a key file, and put {command}`bawn` on the path.";
    };
    keyFile = mkOption {
      type = import ./secret-file.nix {
        inherit lib;
        inHome = true;
      };
      default = "%h/.config/bawn/gateway.key";
      example = "/run/secrets/bawn-key";
      description = ''
        File with the gateway's API key; `%h` is the user's home. Who has none runs no bridge. It is no credential of the
        unit, as the secrets of the other services are: a user's systemd can read nothing that the user can't, and what it
        copied would be readable to the same user. So the bridge reads the file itself.
      '';
    };
    settings = mkOption {
      type = (pkgs.formats.json { }).type;
      default = { };
      example.gateway_url = "http://gateway.tailnet.example.org:8700";
      description = "What goes on top of the settings that the fleet renders; see `bawn/bridge/settings.py` for the keys.";
    };
    settingsFile = mkOption {
      type = types.package;
      readOnly = true;
      default = settings;
      defaultText = lib.literalMD "the rendered settings";
      description = "The settings file.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = config.bawn.role == "laptop" || cfg.settings ? gateway_url;
        message = "bawn.bridge.settings.gateway_url: is not set, and this host is no laptop of the fleet that would tell it.";
      }
    ];

    systemd.user.services.bawn-bridge = {
      description = "bawn bridge";
      wantedBy = [ "default.target" ];
      unitConfig = {
        ConditionPathExists = cfg.keyFile;
        StartLimitIntervalSec = 0;
      };
      serviceConfig = unit // {
        ExecStart = "${lib.getExe' config.bawn.package.bridge "bawn"} bridge --settings ${settings} --key-file ${cfg.keyFile}";
      };
    };

    environment.systemPackages = [ config.bawn.package.bridge ];
  };
}
