# Vectors of what is indexed: made by the model server of a GPU host or pod, after each run of the indexer.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.embedder;
  hardening = import ./hardening.nix;
  inherit (config.bawn) fleet search;
  # Its module brings this one, which therefore can't bring it; nor that of the gateway.
  indexer = config.bawn.indexer or { enable = false; };
  tokens = config.bawn.gateway.upstreamTokenFiles or { };

  embedding = lib.filterAttrs (_: node: node.embedding_model != null) fleet.nodes;
  # A pod is off most of the time.
  byRole = role: lib.attrNames (lib.filterAttrs (_: node: node.role == role) embedding);
  servers = byRole "gpu" ++ byRole "pod";
in
{
  imports = [
    ./fleet.nix
    ./memory.nix
    ./packages.nix
    ./search-keys.nix
    ./tailnet.nix
  ];

  options.bawn.embedder = {
    enable = mkOption {
      type = types.bool;
      default = indexer.enable && servers != [ ];
      defaultText = lib.literalMD "true on a host that indexes, in a fleet with a node that embeds";
      example = false;
      description = "Embed what is indexed, and the questions, so that search finds by meaning, too.";
    };
    settings = mkOption {
      type = types.attrsOf types.anything;
      readOnly = true;
      internal = true;
      default = lib.optionalAttrs cfg.enable {
        embedding = {
          model = (lib.head (lib.attrValues embedding)).embedding_model;
          servers = map (
            node:
            {
              url = "http://${node}.${fleet.tailnet.base_domain}:${toString config.bawn.ports.gpu}";
            }
            // lib.optionalAttrs (tokens ? ${node}) { token_file = "token-${node}"; }
          ) servers;
        };
      };
      description = "What stands of it in the `index.json` of those who search and those who embed, computed.";
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = 128;
      example = 256;
      description = "Memory cap of a run, in MiB.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = indexer.enable;
        message = "bawn.embedder.enable: nothing is indexed on this host; bawn.indexer.enable is false.";
      }
      {
        assertion = servers != [ ];
        message = "bawn.embedder.enable: no node of bawn.fleet.nodes has an embedding_model.";
      }
    ];

    systemd.services.bawn-indexer = {
      # What was indexed before one repository failed is embedded all the same.
      onSuccess = [ "bawn-embedder.service" ];
      onFailure = [ "bawn-embedder.service" ];
    };

    systemd.services.bawn-embedder = {
      description = "bawn embedder";
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "tailscaled.service"
      ];
      startLimitIntervalSec = 0;
      serviceConfig = hardening.oneshot // {
        ExecStart = "${lib.getExe' config.bawn.package.indexer "bawn"} index embed --index ${indexer.servedDirectory}";
        User = "bawn-indexer";
        Group = indexer.group;
        # The gateway, in the same group, reads the vectors.
        UMask = "0027";
        StateDirectory = "bawn-index bawn-index/served";
        StateDirectoryMode = "0750";
        LoadCredential =
          map (node: "token-${node}:${tokens.${node}}") (lib.filter (node: tokens ? ${node}) servers)
          # It reads the index as whoever searches does.
          ++ lib.optionals search.joined search.access.gateway.credentials;
        IPAddressAllow = hardening.oneshot.IPAddressAllow ++ config.bawn.tailnet.addresses;
        SocketBindDeny = "any";
        MemoryMax = "${toString cfg.memoryMiB}M";
        Nice = 15;
        CPUWeight = 20;
        IOSchedulingClass = "idle";
        # A large code base on a small model server.
        TimeoutStartSec = "infinity";
      };
    };
  };
}
