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
  embeddingKey = if self == null then null else self.embedding_model;
  modelOf = key: if key == null then null else fleet.models.${key} or null;
  model = modelOf key;

  pathOf =
    model:
    if model == null || (cfg.source != "manual" && model.url == null) then
      null
    else
      {
        store = toString (
          pkgs.fetchurl {
            name = model.file;
            inherit (model) url sha256;
          }
        );
        # A file in the folder of its own hash has been checked against it.
        download = "${directory}/${model.sha256}/${model.file}";
        manual = "${directory}/${model.file}";
      }
      .${cfg.source};

  fetch =
    key: path:
    "fetch ${
      lib.escapeShellArgs [
        key
        (modelOf key).sha256
        (modelOf key).url
        path
      ]
    }";

  download = pkgs.writeShellApplication {
    name = "bawn-weights-download";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.curl
    ];
    text = ''
      take() {
        echo "Checking the SHA-256 of $part."
        [ "$(sha256sum "$part" | cut -d ' ' -f 1)" = "$wanted" ] || return 1
        mkdir -p "$(dirname "$target")"
        mv "$part" "$target"
      }

      fetch() {
        key=$1 wanted=$2 url=$3 target=$4
        part=${directory}/$wanted.part

        if [ -e "$target" ]; then return; fi

        # Complete already, when power was cut before the check.
        if [ -e "$part" ] && take; then return; fi

        if ! answer=$(curl --fail --location --proto '=https' --proto-redir '=https' --silent --show-error \
          --connect-timeout 20 --speed-limit 1000 --speed-time 60 --retry 5 --retry-connrefused \
          --continue-at - --write-out '%{response_code}' --output "$part" -- "$url"); then
          # No more to fetch, yet not the file: power was cut before all of it was on the disk, or the file has changed.
          if [ "$answer" = 416 ]; then
            rm "$part"
            echo "$part was whole by its size only: it is deleted, and the next try begins anew." >&2
          fi
          exit 1
        fi
        if ! take; then
          rm "$part"
          echo "The weights from $url don't have the SHA-256 that bawn.fleet.models.$key names: they are deleted." >&2
          exit 1
        fi
      }

      ${fetch key cfg.path}
    ''
    + lib.optionalString (cfg.embeddingPath != null) ''
      ${fetch embeddingKey cfg.embeddingPath}
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
      default = pathOf model;
      defaultText = lib.literalMD "by {option}`bawn.weights.source`";
      example = "/srv/models/coder.gguf";
      description = "Where the weights are.";
    };
    neededMiB = mkOption {
      type = types.ints.unsigned;
      readOnly = true;
      internal = true;
      default = lib.foldl' (sum: one: sum + one.size_mib + one.kv_mib) 0 (
        lib.filter (one: one != null) [
          model
          (modelOf embeddingKey)
        ]
      );
      description = "Memory of this node's models and their caches, computed.";
    };
    embeddingPath = mkOption {
      type = types.nullOr types.str;
      default = pathOf (modelOf embeddingKey);
      defaultText = lib.literalMD "by {option}`bawn.weights.source`; null on a node without an `embedding_model`";
      example = "/srv/models/embedder.gguf";
      description = "Where the weights of the node's embedding model are.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.source == "manual" || (model != null && model.url != null);
        message = "bawn.weights.source: is ${cfg.source}, but bawn.fleet.models.${toString key}.url names no place to fetch the weights from.";
      }
      {
        assertion = embeddingKey == null || cfg.embeddingPath != null;
        message = "bawn.weights.source: is ${cfg.source}, but bawn.fleet.models.${toString embeddingKey}.url names no place to fetch the weights from.";
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
