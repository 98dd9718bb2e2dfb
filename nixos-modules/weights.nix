# The weights of this host's model: a pinned part of the system, a checked download, or a file put there by hand.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.weights;
  inherit (config.bawn) fleet self;
  hardening = import ./hardening.nix;
  directory = "/var/lib/bawn-weights";

  key = if self == null || self.models == [ ] then null else builtins.head self.models;
  model = if key == null then null else fleet.models.${key} or null;

  paths = {
    store = toString (
      pkgs.fetchurl {
        name = model.file;
        inherit (model) url sha256;
      }
    );
    # A file in the folder of its own hash has been checked against it.
    download = "${directory}/${model.sha256}/${model.file}";
    manual = "${directory}/${model.file}";
  };

  download = pkgs.writeShellApplication {
    name = "bawn-weights-download";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.curl
    ];
    text = ''
      wanted=${model.sha256}
      target=${lib.escapeShellArg cfg.path}
      part=${directory}/$wanted.part

      [ -e "$target" ] && exit 0

      take() {
        echo "Checking the SHA-256 of $part."
        [ "$(sha256sum "$part" | cut -d ' ' -f 1)" = "$wanted" ] || return 1
        mkdir -p "$(dirname "$target")"
        mv "$part" "$target"
      }

      # Complete already, when power was cut before the check.
      if [ -e "$part" ] && take; then exit 0; fi

      if ! answer=$(curl --fail --location --proto '=https' --proto-redir '=https' --silent --show-error \
        --connect-timeout 20 --speed-limit 1000 --speed-time 60 --retry 5 --retry-connrefused \
        --continue-at - --write-out '%{response_code}' --output "$part" -- ${lib.escapeShellArg model.url}); then
        # No more to fetch, yet not the file: power was cut before all of it was on the disk, or the file has changed.
        if [ "$answer" = 416 ]; then
          rm "$part"
          echo "$part was whole by its size only: it is deleted, and the next try begins anew." >&2
        fi
        exit 1
      fi
      if ! take; then
        rm "$part"
        echo "The weights from ${model.url} don't have the SHA-256 that bawn.fleet.models.${key} names: they are deleted." >&2
        exit 1
      fi
    '';
  };
in
{
  imports = [
    ./files.nix
    ./fleet.nix
  ];

  options.bawn.weights = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Bring this host's weights. The model server switches it on.";
    };
    source = mkOption {
      type = types.enum [
        "store"
        "download"
        "manual"
      ];
      default = if model != null && model.url != null then "download" else "manual";
      defaultText = lib.literalMD "`download` where the fleet names a url, else `manual`";
      example = "store";
      description = ''
        Where the weights come from. `store`: fetched at build time and part of the system, so that a rollback brings back
        the old ones; they travel with every copy of the system. `download`: fetched by the host at its first start,
        resumed after an interruption, and used only when their SHA-256 is right. `manual`: put into
        `${directory}` by hand.
      '';
    };
    model = mkOption {
      type = types.nullOr types.str;
      readOnly = true;
      default = key;
      defaultText = lib.literalMD "the model of this node";
      description = "The model that this host serves: a key of {option}`bawn.fleet.models`.";
    };
    path = mkOption {
      type = types.nullOr types.str;
      default = if model == null || (cfg.source != "manual" && model.url == null) then null else paths.${cfg.source};
      defaultText = lib.literalMD "by {option}`bawn.weights.source`";
      example = "/srv/models/coder.gguf";
      description = "Where the weights are.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.source == "manual" || (model != null && model.url != null);
        message = "bawn.weights.source: is ${cfg.source}, but bawn.fleet.models.${toString key}.url names no place to fetch the weights from.";
      }
    ];

    bawn.files = lib.mkIf (cfg.source == "download") { bawn-weights-download = download; };

    systemd.services.bawn-weights = lib.mkIf (cfg.source == "download") {
      description = "Weights of ${key}";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      before = [ "bawn-model-server.service" ];
      requiredBy = [ "bawn-model-server.service" ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening.oneshot // {
        ExecStart = lib.getExe download;
        RemainAfterExit = true;
        Restart = "on-failure";
        RestartSec = "1min";
        # Some ten gigabytes over whatever line there is.
        TimeoutStartSec = "infinity";
        User = "bawn-weights";
        Group = "bawn-weights";
        StateDirectory = "bawn-weights";
        StateDirectoryMode = "0755";
        # Open weights are no secret, and another user serves them.
        UMask = "0022";
        # The one unit of a GPU host that goes out, and not into the tailnet.
        IPAddressDeny = hardening.tailnet ++ [ "link-local" ];
        IPAddressAllow = [
          "localhost"
          "100.100.100.100"
          "fd7a:115c:a1e0::53"
        ];
        SocketBindDeny = "any";
        MemoryMax = "256M";
      };
    };

    systemd.tmpfiles.rules = [ "d ${directory} 0755 bawn-weights bawn-weights -" ];
    users.users.bawn-weights = {
      isSystemUser = true;
      group = "bawn-weights";
      description = "Weights of bawn's model server";
    };
    users.groups.bawn-weights = { };
  };
}
