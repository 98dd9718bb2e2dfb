# SearXNG on loopback, for questions that the gateway has redacted.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.webSearch;
  hardening = import ./hardening.nix;
in
{
  imports = [
    ./fleet.nix
    ./memory.nix
  ];

  options.bawn.webSearch = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Run SearXNG on this host. It is the one service beside the gateway's that reaches the internet.";
    };
    port = mkOption {
      type = types.port;
      default = 8888;
      example = 8889;
      description = "Loopback port.";
    };
    secretKeyFile = mkOption {
      type = types.nullOr (import ./secret-file.nix { inherit lib; });
      default = null;
      example = "/run/secrets/searxng";
      description = "File with SearXNG's secret key. With null a fresh one is made at each start, which is enough where no browser keeps links to results.";
    };
    settings = mkOption {
      inherit ((pkgs.formats.yaml { })) type;
      default = { };
      example.search.default_lang = "en";
      description = "SearXNG settings on top of ours.";
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = 256;
      example = 384;
      description = "Memory cap of SearXNG, in MiB.";
    };
  };

  config = lib.mkIf cfg.enable {
    services.searx = {
      enable = true;
      settings = lib.mkMerge [
        {
          general.debug = false;
          server = {
            bind_address = "127.0.0.1";
            inherit (cfg) port;
            secret_key = "$SEARX_SECRET_KEY";
            # The gateway is the only client.
            limiter = false;
            public_instance = false;
            image_proxy = false;
            method = "POST";
          };
          search = {
            formats = [ "json" ];
            autocomplete = "";
          };
          outgoing = {
            request_timeout = 4.0;
            max_request_timeout = 8.0;
          };
        }
        cfg.settings
      ];
    };

    systemd.services = {
      searx-init = {
        script = lib.mkBefore (
          if cfg.secretKeyFile == null then
            ''
              SEARX_SECRET_KEY=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
              export SEARX_SECRET_KEY
            ''
          else
            ''
              SEARX_SECRET_KEY=$(cat "$CREDENTIALS_DIRECTORY/secret-key")
              export SEARX_SECRET_KEY
            ''
        );
        serviceConfig =
          builtins.removeAttrs hardening.sandbox [
            # Its runtime folder belongs to a user with a name, whom the service shares.
            "PrivateUsers"
          ]
          // hardening.offline
          // {
            LoadCredential = lib.optional (cfg.secretKeyFile != null) "secret-key:${cfg.secretKeyFile}";
          };
      };
      searx.serviceConfig = {
        MemoryMax = "${toString cfg.memoryMiB}M";
        Restart = "on-failure";
        RestartSec = "5s";
        LimitCORE = 0;
        CapabilityBoundingSet = lib.mkForce "";
        RestrictSUIDSGID = true;
        ProcSubset = "pid";
        SocketBindDeny = "any";
        SocketBindAllow = "tcp:${toString cfg.port}";
        # Its warnings quote the address that was asked, and with it the query. systemd still tells of starts and ends.
        StandardOutput = "null";
        StandardError = "null";
        # The internet, but neither the tailnet nor a cloud's metadata service. Names are looked up through tailscaled
        # where that is the resolver; other private networks stay open, since many providers' resolvers are there.
        IPAddressDeny = hardening.tailnet ++ [ "link-local" ];
        IPAddressAllow = [
          "localhost"
          "100.100.100.100"
          "fd7a:115c:a1e0::53"
        ];
      };
    };
  };
}
