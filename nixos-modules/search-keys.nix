# Keys of the indexes in Meilisearch: the indexer's, which write them, and the gateway's, which may only read.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.search;
  hardening = import ./hardening.nix;

  indexes = [
    "code"
    "docs"
    "libraries"
  ];
  folder = "/run/bawn-search-keys";
  url = "http://${cfg.address}:${toString cfg.port}";

  # systemd reads the keys for the unit that asks; in the folder itself nobody else can.
  credentials = purpose: map (index: "search-${index}:${folder}/${index}-${purpose}.key") indexes;

  keys = lib.concatStringsSep " " (
    [
      "${lib.getExe' config.bawn.package.indexer "bawn"} index meilisearch keys"
      "--master-key-file %d/master-key"
      "--into %t/%N"
    ]
    ++ map (index: "--name ${index}") indexes
  );
in
{
  imports = [
    ./memory.nix
    ./packages.nix
  ];

  options.bawn.search = {
    joined = mkOption {
      type = types.bool;
      readOnly = true;
      internal = true;
      # The indexer's module brings this one, which therefore can't bring it.
      default = cfg.enable && (config.bawn.indexer.enable or false);
      description = "Whether Meilisearch has the indexes of this host, computed.";
    };
    settings = mkOption {
      type = types.attrsOf types.anything;
      readOnly = true;
      internal = true;
      default = lib.optionalAttrs cfg.joined {
        meilisearch = lib.genAttrs indexes (index: {
          inherit url;
          key_file = "search-${index}";
        });
      };
      description = "What stands of it in an `index.json`, computed.";
    };
    access = mkOption {
      type = types.attrsOf types.raw;
      readOnly = true;
      internal = true;
      default = {
        indexer.credentials = credentials "indexer";
        gateway.credentials = credentials "search";
      };
      description = "Credentials of the unit that writes and of those that search, by the same names, computed.";
    };
  };

  config = lib.mkIf cfg.joined {
    # What listens on every address would be at this one too.
    networking.nftables.tables.bawn-search = {
      family = "inet";
      content = ''
        chain input {
          type filter hook input priority filter - 1; policy accept;
          ip daddr ${cfg.address} tcp dport != ${toString cfg.port} drop
          ip daddr ${cfg.address} meta l4proto != tcp drop
        }
      '';
    };

    # Gateway and indexer start after this one, which asks no server: one that doesn't come up must not keep them waiting.
    systemd.services.bawn-search-keys = {
      description = "Keys of the search indexes";
      wantedBy = [ "multi-user.target" ];
      # A server that is started again may have another master key.
      partOf = [ "meilisearch.service" ];
      serviceConfig = hardening.oneshot // hardening.offline // {
        ExecStart = keys;
        DynamicUser = true;
        LoadCredential = "master-key:${toString cfg.masterKeyFile}";
        RemainAfterExit = true;
        RuntimeDirectory = "bawn-search-keys";
        RuntimeDirectoryMode = "0700";
        # Whoever is started while the keys are made again finds those from before.
        RuntimeDirectoryPreserve = true;
        SocketBindDeny = "any";
        MemoryMax = "40M";
      };
    };

    systemd.services.bawn-search-register = {
      description = "Keys of the search indexes, made known to Meilisearch";
      wantedBy = [ "meilisearch.service" ];
      after = [
        "bawn-search-keys.service"
        "meilisearch.service"
      ];
      # The indexer wants this unit, and is not to start what an operator has stopped, nor to wait for it.
      requisite = [ "meilisearch.service" ];
      # One that is started again may have lost its data.
      partOf = [ "meilisearch.service" ];
      startLimitIntervalSec = 0;
      serviceConfig = hardening.oneshot // {
        # The files that it writes are its own, and the same.
        ExecStart = "${keys} --url ${url} --within 10";
        DynamicUser = true;
        LoadCredential = "master-key:${toString cfg.masterKeyFile}";
        RemainAfterExit = true;
        RuntimeDirectory = "bawn-search-register";
        RuntimeDirectoryMode = "0700";
        Restart = "on-failure";
        RestartSec = "5s";
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
        ];
        IPAddressAllow = [ cfg.address ];
        SocketBindDeny = "any";
        MemoryMax = "40M";
      };
    };
  };
}
