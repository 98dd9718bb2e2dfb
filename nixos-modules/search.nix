# Meilisearch on loopback, within a memory cap that holds. What joins it to indexer and gateway: search-keys.nix.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.search;
  hardening = import ./hardening.nix;
in
{
  imports = [
    ./fleet.nix
    ./memory.nix
    ./search-keys.nix
  ];

  options.bawn.search = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Run Meilisearch on this host, and let it have the indexes where the indexer runs beside it. Without it they are
        embedded ones, which need no server. Searches go on in the embedded index until a first run has filled Meilisearch.
      '';
    };
    masterKeyFile = mkOption {
      type = types.nullOr (import ./secret-file.nix { inherit lib; });
      default = null;
      example = "/run/secrets/meilisearch-master-key";
      description = "File with Meilisearch's master key, of 16 bytes at least ({command}`openssl rand -base64 36`).";
    };
    address = mkOption {
      type = types.str;
      readOnly = true;
      default = "127.0.77.1";
      description = ''
        Address that it listens on: one of loopback's that has no other port. The indexer, which parses strangers' files,
        may reach this address alone, and so nothing else that listens on loopback.
      '';
    };
    port = mkOption {
      type = types.port;
      default = 7700;
      example = 7701;
      description = "Port at {option}`address`.";
    };
    indexingMemoryMiB = mkOption {
      type = types.ints.positive;
      default = 256;
      example = 512;
      description = "What indexing aims at. It is no cap; {option}`memoryMiB` is.";
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = 512;
      example = 1024;
      description = "Memory cap of Meilisearch, in MiB. The mapped database counts, and is given back under pressure.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.masterKeyFile != null;
        message = "bawn.search.masterKeyFile: is not set; without a master key every process on the host could read the index.";
      }
      {
        assertion = cfg.indexingMemoryMiB < cfg.memoryMiB;
        message = "bawn.search.indexingMemoryMiB: ${toString cfg.indexingMemoryMiB} must be less than bawn.search.memoryMiB (${toString cfg.memoryMiB}), for it is a target and not a cap.";
      }
    ];

    services.meilisearch = {
      enable = true;
      listenAddress = cfg.address;
      listenPort = cfg.port;
      masterKeyFile = lib.mkIf (cfg.masterKeyFile != null) cfg.masterKeyFile;
      settings = {
        env = "production";
        no_analytics = true;
        # A line a request, with its query string, would bring what people search for into the journal.
        log_level = "ERROR";
        max_indexing_memory = "${toString cfg.indexingMemoryMiB} MiB";
        # The host has one CPU, and searches must get through.
        max_indexing_threads = 1;
        # More than the indexer's batches have: python/src/bawn/search/meilisearch/publishing.py.
        http_payload_size_limit = "96 MiB";
        # Without it each page that a batch touches is in memory until the batch is written: of a large index, more than
        # the cap. With it the system writes them when it needs the room. The database is a file with holes, then, that
        # looks as large as its map (2 TiB): whatever copies it must know of holes.
        experimental_reduce_indexing_memory_usage = true;
      };
    };

    systemd.services.meilisearch.serviceConfig = {
      MemoryMax = "${toString cfg.memoryMiB}M";
      inherit (hardening.sandbox) IPAddressDeny IPAddressAllow SystemCallErrorNumber;
      SocketBindDeny = "any";
      SocketBindAllow = "tcp:${toString cfg.port}";
      RestartSec = "5s";
      LimitCORE = 0;
      # An index run is worth less than the search that it would slow down.
      CPUWeight = 50;
    };
  };
}
