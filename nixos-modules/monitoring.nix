# What an operator looks at: figures of the host, and on the gateway host a Prometheus that collects all there is.
# Everything is on loopback: the tailnet has no rule for it, `ssh -L 9090:127.0.0.1:9090 gateway` has none to ask for.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.monitoring;
  hardening = import ./hardening.nix;
  inherit (config.bawn) fleet ports;

  gpus = lib.attrNames (lib.filterAttrs (_: node: node.role == "gpu") fleet.nodes);
  tokens = config.bawn.gateway.upstreamTokenFiles;
  credentials = "/run/credentials/prometheus.service";
in
{
  imports = [
    ./fleet.nix
    ./gateway.nix
    ./memory.nix
    ./tailnet.nix
  ];

  options.bawn.monitoring = {
    enable = mkOption {
      type = types.bool;
      default = lib.elem config.bawn.role [
        "headscale"
        "gateway"
        "gpu"
      ];
      defaultText = lib.literalMD "true on Headscale, gateway and GPU hosts";
      example = false;
      description = "Run the Prometheus node exporter on loopback, port 9100.";
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = 64;
      example = 96;
      description = "Memory cap of the node exporter, in MiB.";
    };
    prometheus = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = ''
          Run Prometheus on loopback, port 9090, on the gateway host: it collects the gateway's figures, this host's and
          those of the GPU hosts' model servers, over the ways that are open already. It wants a host of 3 GiB.
        '';
      };
      retention = mkOption {
        type = types.str;
        default = "30d";
        example = "1y";
        description = "How long figures are kept.";
      };
      memoryMiB = mkOption {
        type = types.ints.positive;
        default = 384;
        example = 512;
        description = "Memory cap of Prometheus, in MiB.";
      };
    };
  };

  config = lib.mkMerge [
    (lib.mkIf cfg.enable {
      services.prometheus.exporters.node = {
        enable = true;
        listenAddress = "127.0.0.1";
        # Units and their restarts: the first thing to look at.
        enabledCollectors = [ "systemd" ];
      };
      systemd.services.prometheus-node-exporter.serviceConfig = {
        MemoryMax = "${toString cfg.memoryMiB}M";
        inherit (hardening.sandbox) IPAddressDeny IPAddressAllow;
      };
    })
    (lib.mkIf cfg.prometheus.enable {
      assertions = [
        {
          assertion = config.bawn.gateway.enable;
          message = "bawn.monitoring.prometheus.enable: belongs on the gateway host, the only one from which model servers can be reached.";
        }
      ];
      services.prometheus = {
        enable = true;
        listenAddress = "127.0.0.1";
        retentionTime = cfg.prometheus.retention;
        # Tokens are credentials of the unit and aren't there at build time.
        checkConfig = "syntax-only";
        scrapeConfigs = [
          {
            job_name = "host";
            static_configs = [ { targets = [ "127.0.0.1:9100" ]; } ];
          }
          {
            job_name = "gateway";
            static_configs = [
              {
                targets = [
                  (
                    if config.bawn.gateway.listenAddress != null then
                      "${config.bawn.gateway.listenAddress}:${toString ports.gateway}"
                    else
                      "${config.bawn.node}.${fleet.tailnet.base_domain}:${toString ports.gateway}"
                  )
                ];
              }
            ];
          }
        ]
        ++ map (
          node:
          {
            job_name = "model-server-${node}";
            static_configs = [ { targets = [ "${node}.${fleet.tailnet.base_domain}:${toString ports.gpu}" ]; } ];
          }
          // lib.optionalAttrs (tokens ? ${node}) {
            authorization.credentials_file = "${credentials}/token-${node}";
          }
        ) gpus;
      };
      systemd.services.prometheus.serviceConfig = {
        MemoryMax = "${toString cfg.prometheus.memoryMiB}M";
        LoadCredential = lib.mapAttrsToList (node: path: "token-${node}:${path}") (
          lib.filterAttrs (node: _: lib.elem node gpus) tokens
        );
        inherit (hardening.sandbox) IPAddressDeny;
        IPAddressAllow = hardening.sandbox.IPAddressAllow ++ config.bawn.tailnet.addresses;
      };
    })
  ];
}
