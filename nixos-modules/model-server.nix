# The model server: one model behind the OpenAI API.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.modelServer;
  hardening = import ./hardening.nix;
  inherit (config.bawn) weights nvidia;
  port = config.bawn.ports.gpu;
  onTailnet = cfg.listenAddress == null;
  isGpuNode = config.bawn.role == "gpu";

  keepsState = cfg.stateOnDisk != null;
  encrypts = cfg.stateOnDisk == "encrypted";
  # Answers under way get 30 s to end, 5 s more to end with an error event, and 10 s are to spare. The state is as large
  # as `cache_mib` at most (the server's default is 1024); 32 MiB a second is less than any disk or volume worth having.
  secondsToStop = 45 + (if keepsState then (settings'.cache_mib or 1024) / 32 else 0);

  # As the server finds it itself where no name is given.
  alias = settings'.alias or (lib.removeSuffix ".gguf" (baseNameOf (toString settings'.model)));

  package = if nvidia.enable then config.bawn.package.model-server-cuda else config.bawn.package.model-server;

  settings' = {
    model = weights.path;
    n_gpu_layers = if nvidia.enable then -1 else 0;
  }
  // lib.optionalAttrs (weights.model != null) { alias = weights.model; }
  // lib.optionalAttrs (weights.embeddingPath != null) { embedding_model = weights.embeddingPath; }
  // lib.optionalAttrs (!onTailnet) { host = cfg.listenAddress; }
  // {
    token_file = lib.optionalString (cfg.tokenFile != null) "/run/credentials/bawn-model-server.service/token";
    # Here too where they are empty: the options have the last word, not what the fleet renders.
    state_dir = lib.optionalString keepsState "/var/lib/bawn-model-server";
    state_key_file = lib.optionalString encrypts "/run/credentials/bawn-model-server.service/state-key";
  }
  // cfg.settings;
  settings = import ./settings.nix { inherit lib pkgs; } {
    name = "model-server";
    rendered = if isGpuNode then config.bawn.rendered else null;
    settings = settings';
  };
  file = if onTailnet then "/run/bawn-model-server/model-server.json" else settings;
  listen = import ./tailnet-address.nix { inherit config lib pkgs; } {
    name = "model-server";
    inherit settings;
  };
in
{
  imports = [
    ./files.nix
    ./fleet.nix
    ./health-gate.nix
    ./memory.nix
    ./nvidia.nix
    ./packages.nix
    ./preflight.nix
    ./tailnet.nix
    ./weights.nix
  ];

  options.bawn.modelServer = {
    enable = mkOption {
      type = types.bool;
      default = isGpuNode;
      defaultText = lib.literalExpression ''config.bawn.role == "gpu"'';
      example = true;
      description = "Run the model server: on the GPU where {option}`bawn.nvidia.enable` is set, else on the CPU.";
    };
    listenAddress = mkOption {
      type = types.nullOr types.str;
      default = if config.bawn.tailnet.enable then null else "127.0.0.1";
      defaultText = lib.literalMD "null on a tailnet, else `127.0.0.1`";
      example = "100.64.0.3";
      description = "Address to listen on. With null it is this node's tailnet address, for which the start waits.";
    };
    tokenFile = mkOption {
      type = types.nullOr (import ./secret-file.nix { inherit lib; });
      default = null;
      example = "/run/secrets/bawn-token";
      description = "File with the bearer token that every request must carry. The gateway has the same in {option}`bawn.gateway.upstreamTokenFiles`.";
    };
    stateOnDisk = mkOption {
      type = types.nullOr (
        types.enum [
          "encrypted"
          "plain"
        ]
      );
      default = if config.bawn.self == null then null else config.bawn.self.state_on_disk;
      defaultText = lib.literalExpression "config.bawn.fleet.nodes.\${config.bawn.node}.state_on_disk";
      example = "encrypted";
      description = ''
        Keep the beginnings of prompts in `/var/lib/bawn-model-server` while the model server is stopped, so that sessions
        go on without their prompts being computed again: at most `cache_mib` of {option}`bawn.modelServer.settings`
        (1024 MiB). They are made of the prompts, code included, which can be told from them. `encrypted`: sealed
        (AES-256-GCM) by the key in {option}`bawn.modelServer.stateKeyFile`. `plain`: they lie unencrypted on the disk,
        in a folder of the unit's own user, and whoever can read the disk can read them. With null nothing is kept, and
        what was kept before is deleted at the next switch or boot.
      '';
    };
    stateKeyFile = mkOption {
      type = types.nullOr (import ./secret-file.nix { inherit lib; });
      default = null;
      example = "/run/secrets/bawn-state-key";
      description = "File with the secret by which the kept beginnings of prompts are encrypted. What was kept by another key is not read.";
    };
    settings = mkOption {
      type = (pkgs.formats.json { }).type;
      default = { };
      example = {
        n_batch = 1024;
        sampling.temperature = 0.2;
      };
      description = "What goes on top of the settings that the fleet renders; see `bawn/model_server/settings.py` for the keys.";
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
      default = 2048 + (if weights.neededMiB == 0 then 4096 else weights.neededMiB);
      defaultText = lib.literalMD "size and KV cache of the models, and 2 GiB";
      example = 32768;
      description = "Cap on main memory, in MiB. On a GPU most of it is the weights' file as it is mapped while it loads.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !onTailnet || config.bawn.tailnet.enable;
        message = "bawn.modelServer.listenAddress: null means the tailnet address, but bawn.tailnet.enable is false: name an address.";
      }
      {
        assertion = !lib.elem cfg.listenAddress [
          "0.0.0.0"
          "::"
          "[::]"
        ];
        message = "bawn.modelServer.listenAddress: ${toString cfg.listenAddress} is every network, the public one too, whatever the tailnet's policy says. Name one address.";
      }
      {
        assertion = cfg.tokenFile != null || cfg.listenAddress == "127.0.0.1";
        message = "bawn.modelServer.tokenFile: is not set; beyond loopback the model server asks every caller for a token.";
      }
      {
        assertion = !encrypts || cfg.stateKeyFile != null;
        message = "bawn.modelServer.stateKeyFile: is not set, but bawn.modelServer.stateOnDisk is encrypted: name the file with the key.";
      }
      {
        assertion = encrypts || cfg.stateKeyFile == null;
        message = "bawn.modelServer.stateKeyFile: encrypts nothing, since bawn.modelServer.stateOnDisk is not encrypted. Set that, or take out the key.";
      }
      {
        assertion = weights.path != null || cfg.settings ? model;
        message = "bawn.weights.path: there is no model to serve: set it, or bawn.node to a node of the fleet that has one.";
      }
    ];

    # Where nothing is to be kept, nothing stays of what was.
    systemd.tmpfiles.rules = lib.optional (!keepsState) "R /var/lib/private/bawn-model-server";

    bawn.files = lib.mkIf onTailnet { bawn-listen-on-tailnet = listen; };

    systemd.services.bawn-model-server = {
      description = "bawn model server";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "tailscaled.service"
        "tailscaled-autoconnect.service"
      ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig =
        hardening.service
        // lib.optionalAttrs nvidia.enable hardening.gpu
        // {
          ExecStartPre = lib.optional onTailnet (lib.getExe listen);
          ExecStart = "${lib.getExe' package "bawn"} model-server --settings ${file}";
          DynamicUser = true;
          RuntimeDirectory = "bawn-model-server";
          RuntimeDirectoryMode = "0700";
          # While it fails and is tried again, `bawn doctor` reads there what it was started with.
          RuntimeDirectoryPreserve = "restart";
          # Kernels that the driver compiles are kept from start to start.
          CacheDirectory = "bawn-model-server";
          CacheDirectoryMode = "0700";
          LoadCredential =
            lib.optional (cfg.tokenFile != null) "token:${cfg.tokenFile}"
            ++ lib.optional encrypts "state-key:${toString cfg.stateKeyFile}";
          # READY comes when the model is loaded: minutes, from a slow disk.
          TimeoutStartSec = "15min";
          TimeoutStopSec = "${toString secondsToStop}s";
          # The decode loop answers the watchdog; one long prefill step may take this long on a CPU.
          WatchdogSec = "60s";
          LimitNOFILE = 8192;
          MemoryMax = "${toString cfg.memoryMiB}M";
          SocketBindDeny = "any";
          SocketBindAllow = "tcp:${toString port}";
          # Only the gateway calls, and the model server calls nobody.
          IPAddressAllow = hardening.service.IPAddressAllow ++ config.bawn.tailnet.addresses;
        }
        // lib.optionalAttrs keepsState {
          StateDirectory = "bawn-model-server";
          StateDirectoryMode = "0700";
        };
      environment = {
        CUDA_CACHE_PATH = "/var/cache/bawn-model-server/cuda";
      };
    };

    bawn.weights.enable = lib.mkDefault true;
    bawn.preflight.enable = lib.mkDefault nvidia.enable;

    # A token, made by the model: that it is loaded says less.
    bawn.healthGate.checks.model-server = lib.mkDefault {
      url = "http://${if onTailnet then "@tailnet@" else cfg.listenAddress}:${toString port}/v1/completions";
      body = {
        model = alias;
        prompt = "1";
        max_tokens = 1;
      };
      inherit (cfg) tokenFile;
    };
  };
}
