# The gateway: keys, routing to the model servers, search tools.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.gateway;
  hardening = import ./hardening.nix;
  secretFile = import ./secret-file.nix { inherit lib; };
  port = config.bawn.ports.gateway;
  onTailnet = cfg.listenAddress == null;
  inherit (config.bawn) search;

  credentials = "/run/credentials/bawn-gateway.service";
  tokens = lib.mapAttrs (node: _: "${credentials}/token-${node}") cfg.upstreamTokenFiles;

  settings = import ./settings.nix { inherit lib pkgs; } {
    name = "gateway";
    rendered = if config.bawn.role == "gateway" then config.bawn.rendered else null;
    settings =
      lib.optionalAttrs (!onTailnet) { host = cfg.listenAddress; }
      // {
        # Without a tailnet there is nobody to ask whose node calls.
        identity = if config.bawn.tailnet.enable then "key+tailnet" else "key";
        index_dir = if config.bawn.indexer.enable then config.bawn.indexer.servedDirectory else null;
      }
      // lib.optionalAttrs (cfg.webhookSecretFile != null) {
        webhooks = {
          secret_file = "${credentials}/webhook-secret";
          trigger_file = "${config.bawn.indexer.pushDirectory}/pushed";
        };
      }
      // cfg.settings;
    # Tokens come as credentials of the unit, one a model server; a credential that isn't there is no token.
    filter = ''
      ${builtins.toJSON tokens} as $tokens
      | if .upstreams then
          .upstreams |= map(
            if $tokens[.name] then .token_file = $tokens[.name]
            elif (.token_file // "") | startswith("${credentials}/") then del(.token_file)
            else . end)
        else . end
    '';
  };
  file = if onTailnet then "/run/bawn-gateway/gateway.json" else settings;
  listen = import ./tailnet-address.nix { inherit config lib pkgs; } {
    name = "gateway";
    inherit settings;
  };

  modelNodes = lib.attrNames (
    lib.filterAttrs (
      _: node:
      lib.elem node.role [
        "gpu"
        "pod"
      ]
    ) config.bawn.fleet.nodes
  );
  strangers = lib.filter (node: !lib.elem node modelNodes) (lib.attrNames cfg.upstreamTokenFiles);

  keys = pkgs.writeShellApplication {
    name = "bawn-keys";
    runtimeInputs = [ pkgs.util-linux ];
    text = ''
      if [ "$(id -u)" != 0 ]; then
        echo "bawn-keys: needs root: sudo bawn-keys $*" >&2
        exit 1
      fi
      cd /
      umask 077
      exec runuser -u bawn-gateway -- env BAWN_STATE=/var/lib/bawn-gateway \
        ${lib.getExe' config.bawn.package.gateway "bawn"} keys "$@"
    '';
  };
in
{
  imports = [
    ./files.nix
    ./fleet.nix
    ./health-gate.nix
    ./indexer.nix
    ./memory.nix
    ./packages.nix
    ./search.nix
    ./tailnet.nix
  ];

  options.bawn.gateway = {
    enable = mkOption {
      type = types.bool;
      default = config.bawn.role == "gateway";
      defaultText = lib.literalExpression ''config.bawn.role == "gateway"'';
      example = true;
      description = "Run the gateway, and install {command}`bawn-keys`, which makes, lists and revokes its API keys.";
    };
    listenAddress = mkOption {
      type = types.nullOr types.str;
      default = if config.bawn.tailnet.enable then null else "127.0.0.1";
      defaultText = lib.literalMD "null on a tailnet, else `127.0.0.1`";
      example = "100.64.0.2";
      description = "Address to listen on. With null it is this node's tailnet address, for which the start waits.";
    };
    upstreamTokenFiles = mkOption {
      type = types.attrsOf secretFile;
      default = { };
      example.gpu = "/run/secrets/bawn-token-gpu";
      description = "For each GPU host and pod of the fleet, the file with the bearer token that its model server asks for.";
    };
    webhookSecretFile = mkOption {
      type = types.nullOr secretFile;
      default = null;
      example = "/run/secrets/webhook-secret";
      description = ''
        File with the secret of the push webhooks, 16 characters or more. With it the gateway takes deliveries of GitHub,
        GitLab, Gitea and Forgejo at `/webhooks/<forge>`, and a push starts the indexer. The forge must reach the
        gateway's port: one in the tailnet does, one outside needs a proxy that passes on this path alone.
      '';
    };
    settings = mkOption {
      type = (pkgs.formats.json { }).type;
      default = { };
      example = {
        max_in_flight = 64;
        timeouts.connect_s = 3.0;
      };
      description = "What goes on top of the settings that the fleet renders; see `bawn/gateway/settings.py` for the keys.";
    };
    settingsFile = mkOption {
      type = types.package;
      readOnly = true;
      default = settings;
      defaultText = lib.literalMD "the rendered settings";
      description = "The settings file, as it is before the tailnet address is filled in.";
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = 256;
      example = 512;
      description = "Memory cap of the gateway, in MiB.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !onTailnet || config.bawn.tailnet.enable;
        message = "bawn.gateway.listenAddress: null means the tailnet address, but bawn.tailnet.enable is false: name an address.";
      }
      {
        assertion = !lib.elem cfg.listenAddress [
          "0.0.0.0"
          "::"
          "[::]"
        ];
        message = "bawn.gateway.listenAddress: ${toString cfg.listenAddress} is every network, the public one too, whatever the tailnet's policy says. Name one address.";
      }
      {
        assertion = config.bawn.role != "gateway" || strangers == [ ];
        message = "bawn.gateway.upstreamTokenFiles: ${lib.concatStringsSep ", " strangers} is no gpu or pod in bawn.fleet.nodes; known: ${lib.concatStringsSep ", " modelNodes}.";
      }
      {
        assertion = cfg.webhookSecretFile == null || config.bawn.indexer.enable;
        message = "bawn.gateway.webhookSecretFile: a push starts the indexer, but bawn.indexer.enable is false.";
      }
    ];

    bawn.files = {
      bawn-keys = keys;
    }
    // lib.optionalAttrs onTailnet { bawn-listen-on-tailnet = listen; };

    systemd.services.bawn-gateway = {
      description = "bawn gateway";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "tailscaled.service"
        "tailscaled-autoconnect.service"
      ]
      ++ lib.optional search.joined "bawn-search-keys.service";
      # Who calls is asked on tailscaled's socket, where everybody may read: the sandbox needs no opening for it.
      # The tailnet or a GPU host may be away for hours: there is no number of tries after which to give up.
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = hardening.service // {
        ExecStartPre = lib.optional onTailnet (lib.getExe listen);
        ExecStart = "${lib.getExe' config.bawn.package.gateway "bawn"} gateway --settings ${file}";
        # A user with a name, since `bawn-keys` writes the keys file beside the running service.
        User = "bawn-gateway";
        Group = "bawn-gateway";
        StateDirectory = "bawn-gateway";
        StateDirectoryMode = "0700";
        RuntimeDirectory = "bawn-gateway";
        RuntimeDirectoryMode = "0700";
        # While it fails and is tried again, `bawn doctor` reads there what it was started with.
        RuntimeDirectoryPreserve = "restart";
        LoadCredential =
          lib.mapAttrsToList (node: path: "token-${node}:${path}") cfg.upstreamTokenFiles
          ++ lib.optional (cfg.webhookSecretFile != null) "webhook-secret:${cfg.webhookSecretFile}"
          ++ lib.optionals search.joined search.access.gateway.credentials;
        # The tailnet may take its time; answers under way get 30 s to end.
        TimeoutStartSec = "2min";
        TimeoutStopSec = "45s";
        # Streams of many clients, each with a connection in and one out.
        LimitNOFILE = 8192;
        MemoryMax = "${toString cfg.memoryMiB}M";
        SocketBindDeny = "any";
        SocketBindAllow = "tcp:${toString port}";
        IPAddressAllow = hardening.service.IPAddressAllow ++ config.bawn.tailnet.addresses;
      }
      // lib.optionalAttrs config.bawn.indexer.enable {
        SupplementaryGroups = [ config.bawn.indexer.group ];
        # Readers of the index take its lock file; the folder itself belongs to the indexer alone.
        ReadWritePaths = [
          config.bawn.indexer.servedDirectory
        ]
        ++ lib.optional (cfg.webhookSecretFile != null) config.bawn.indexer.pushDirectory;
      }
      // lib.optionalAttrs search.joined {
        # Where no keys could be made, search is what doesn't work, and not the gateway.
        SetCredential = map (
          credential: "${lib.head (lib.splitString ":" credential)}:none"
        ) search.access.gateway.credentials;
      };
    };

    users.users.bawn-gateway = {
      isSystemUser = true;
      group = "bawn-gateway";
      description = "bawn gateway";
    };
    users.groups.bawn-gateway = { };

    environment.systemPackages = [ keys ];

    bawn.healthGate.checks.gateway =
      let
        # A rented pod is off most of the time, which is no fault of a new generation.
        hosts = lib.attrNames (lib.filterAttrs (_: node: node.role == "gpu") config.bawn.fleet.nodes);
        path = if hosts == [ ] then "health" else "ready?needs=${lib.concatStringsSep "&needs=" hosts}";
      in
      lib.mkDefault {
        url = "http://${if onTailnet then "@tailnet@" else cfg.listenAddress}:${toString port}/${path}";
      };
  };
}
