# The bridge for home-manager: a systemd user unit on Linux, a launchd agent on macOS.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.bridge;
  json = pkgs.formats.json { };
  settings = json.generate "bawn-bridge.json" cfg.settings;
  command = [
    (lib.getExe' cfg.package "bawn")
    "bridge"
    "--settings"
    (toString settings)
    "--key-file"
    cfg.keyFile
  ];
  # home-manager writes units as they are, where NixOS knows lists.
  unit = lib.mapAttrs (_: value: if lib.isList value then lib.concatStringsSep " " value else value) (
    removeAttrs (import ./bridge-unit.nix) [ "SystemCallFilter" ]
  );
in
{
  options.bawn.bridge = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Run the bridge in this user's session.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.bawn.bridge;
      defaultText = lib.literalExpression "pkgs.bawn.bridge";
      example = lib.literalExpression "inputs.bawn.packages.\${system}.bridge";
      description = "Package with `bin/bawn`.";
    };
    keyFile = mkOption {
      type = types.str;
      default = "${config.home.homeDirectory}/.config/bawn/gateway.key";
      defaultText = lib.literalExpression ''"''${config.home.homeDirectory}/.config/bawn/gateway.key"'';
      example = "/run/secrets/bawn-key";
      description = "File with the gateway's API key.";
    };
    settings = mkOption {
      inherit (json) type;
      default = { };
      example.gateway_url = "http://gateway.tailnet.example.org:8700";
      description = "Settings of the bridge, of which `gateway_url` is needed; see `bawn/bridge/settings.py` for the others.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.settings ? gateway_url;
        message = "bawn.bridge.settings.gateway_url: is not set; it is the address of the team's gateway.";
      }
      {
        assertion = lib.hasPrefix "/" cfg.keyFile && !lib.hasPrefix builtins.storeDir cfg.keyFile;
        message = "bawn.bridge.keyFile: must be the absolute path of a file outside the Nix store, which everybody can read.";
      }
    ];

    home.packages = [ cfg.package ];

    systemd.user.services.bawn-bridge = lib.mkIf pkgs.stdenv.hostPlatform.isLinux {
      Unit = {
        Description = "bawn bridge";
        StartLimitIntervalSec = 0;
        ConditionPathExists = cfg.keyFile;
      };
      Install.WantedBy = [ "default.target" ];
      Service = unit // {
        ExecStart = lib.escapeShellArgs command;
        # A list of two lines: the second takes back a part of the first.
        inherit (import ./bridge-unit.nix) SystemCallFilter;
      };
    };

    launchd.agents.bawn-bridge = lib.mkIf pkgs.stdenv.hostPlatform.isDarwin {
      enable = true;
      config = {
        ProgramArguments = command;
        RunAtLoad = true;
        KeepAlive = true;
        ProcessType = "Interactive";
        Umask = 63; # 077
        StandardErrorPath = "${config.home.homeDirectory}/Library/Logs/bawn-bridge.log";
        StandardOutPath = "${config.home.homeDirectory}/Library/Logs/bawn-bridge.log";
      };
    };
  };
}
