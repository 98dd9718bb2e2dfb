# Fetching, for the indexer: repositories that are elsewhere, and the packages of libraries that lock files name.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.indexer;
  hardening = import ./hardening.nix;
  inherit (config.bawn.fleet) repositories;

  state = "/var/lib/bawn-index";

  here = lib.filterAttrs (_: repository: repository.path != null) repositories;
  elsewhere = lib.filterAttrs (_: repository: repository.url != null) repositories;
  withLibraries = lib.filterAttrs (_: repository: repository.libraries != null) repositories;
  # What needs the network before it can be indexed.
  fetched = elsewhere // withLibraries;
  # Here, and read by the unit that has the network: their lock files are.
  hereAndFetched = lib.intersectAttrs here withLibraries;

  secretFile = import ./secret-file.nix { inherit lib; };

  access = types.submodule (
    { name, config, ... }:
    let
      # What it is called at, among the credentials of the unit.
      own = kind: "${kind}-${lib.replaceStrings [ "/" ] [ "-" ] name}";
      inRun = kind: "/run/credentials/bawn-fetch.service/${own kind}";
    in
    {
      options = {
        keyFile = mkOption {
          type = types.nullOr secretFile;
          default = null;
          example = "/run/secrets/deploy-key-app";
          description = "File with the private key of a deploy key that may read, for ssh.";
        };
        tokenFile = mkOption {
          type = types.nullOr secretFile;
          default = null;
          example = "/run/secrets/token-app";
          description = "File with a token that may read, or with `user:password`, for https.";
        };
        knownHostsFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          example = "./known-hosts";
          description = "The server's public keys as {command}`ssh-keyscan` prints them, for ssh; null: those that the host knows.";
        };
        caFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          example = "./authority.pem";
          description = "Certificate of the authority that the server is signed by, for https; null: those that the host trusts.";
        };
        credentials = mkOption {
          type = types.listOf types.str;
          readOnly = true;
          internal = true;
          default =
            lib.optional (config.keyFile != null) "${own "key"}:${config.keyFile}"
            ++ lib.optional (config.tokenFile != null) "${own "token"}:${config.tokenFile}";
          description = "Credentials of the unit, computed.";
        };
        arguments = mkOption {
          type = types.attrsOf types.str;
          readOnly = true;
          internal = true;
          default =
            lib.optionalAttrs (config.keyFile != null) { key-file = inRun "key"; }
            // lib.optionalAttrs (config.tokenFile != null) { token-file = inRun "token"; }
            // lib.optionalAttrs (config.knownHostsFile != null) {
              known-hosts-file = toString config.knownHostsFile;
            }
            // lib.optionalAttrs (config.caFile != null) { ca-file = toString config.caFile; };
          description = "Options of {command}`bawn index add`, computed.";
        };
      };
    }
  );

  ecosystems = [
    "cargo"
    "go"
    "npm"
    "pypi"
  ];

  registry = types.submodule (
    { name, config, ... }:
    {
      options = {
        place = mkOption {
          type = types.strMatching "https://.+|/.+|none";
          example = "https://packages.example.org/pypi/simple";
          description = "Address as the package manager is given it, or folder of archives on the gateway host, or `none`.";
        };
        private = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "git.example.org/*" ];
          description = "Globs of names that it is never asked for.";
        };
        fileHosts = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "files.example.org" ];
          description = "Further hosts that it may lead to for its files.";
        };
        tokenFile = mkOption {
          type = types.nullOr secretFile;
          default = null;
          example = "/run/secrets/token-pypi";
          description = "File with a token that may read, or with `user:password`.";
        };
        caFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          example = "./authority.pem";
          description = "Certificate of the authority that it is signed by; null: those that the host trusts.";
        };
        credentials = mkOption {
          type = types.listOf types.str;
          readOnly = true;
          internal = true;
          default = lib.optional (config.tokenFile != null) "registry-${name}:${config.tokenFile}";
          description = "Credentials of the unit, computed.";
        };
        settings = mkOption {
          type = types.attrsOf types.anything;
          readOnly = true;
          internal = true;
          default = {
            inherit (config) place private;
            file_hosts = config.fileHosts;
          }
          // lib.optionalAttrs (config.tokenFile != null) {
            token_file = "/run/credentials/bawn-fetch.service/registry-${name}";
          }
          // lib.optionalAttrs (config.caFile != null) { ca_file = toString config.caFile; };
          description = "Its entry in registries.json, computed.";
        };
      };
    }
  );

  registries = pkgs.writeText "bawn-registries.json" (
    builtins.toJSON { registries = lib.mapAttrs (_: one: one.settings) cfg.registries; }
  );

  # How one is registered, which a repository that is elsewhere is before it is fetched.
  register =
    name: repository:
    lib.escapeShellArgs (
      [
        "bawn"
        "index"
        "add"
        (if repository.path == null then repository.url else repository.path)
        "--name"
        name
        "--into"
        repository.index
      ]
      ++ lib.concatMap (branch: [
        "--branch"
        branch
      ]) repository.branches
      ++ lib.optionals (repository.libraries != null) [
        "--libraries"
        repository.libraries
      ]
      ++ lib.optionals (repository.project != null) [
        "--project"
        repository.project
      ]
      ++ lib.concatMap (glob: [
        "--include"
        glob
      ]) repository.include
      ++ lib.concatMap (glob: [
        "--exclude"
        glob
      ]) repository.exclude
      ++ lib.concatLists (
        lib.mapAttrsToList (option: file: [
          "--${option}"
          file
        ]) (cfg.access.${name}.arguments or { })
      )
    )
    + " --index \"$work\"";

  fetch = pkgs.writeShellApplication {
    name = "bawn-index-fetch";
    runtimeInputs = [
      config.bawn.package.indexer
      pkgs.coreutils
      pkgs.git
      pkgs.openssh
    ];
    text = ''
      work=${state}/work
      failed=0
      ${lib.concatStrings (
        lib.mapAttrsToList (name: repository: ''
          ${register name repository} || failed=1
        '') fetched
      )}
      ${lib.optionalString (withLibraries != { }) ''
        cp --force --no-preserve=mode ${registries} "$work/registries.json"
      ''}
      # Indexing waits for this: a slow registry's packages come with the next run.
      bawn index fetch --within 60 --index "$work" || failed=1
      exit "$failed"
    '';
  };
in
{
  imports = [
    ./files.nix
    ./fleet.nix
    ./packages.nix
  ];

  options.bawn.indexer = {
    access = mkOption {
      type = types.attrsOf access;
      default = { };
      example.app.keyFile = "/run/secrets/deploy-key-app";
      description = "What opens the repositories that have a url, by their names in {option}`bawn.fleet.repositories`.";
    };
    fetchMemoryMiB = mkOption {
      type = types.ints.positive;
      default = 256;
      example = 512;
      description = "Memory cap of fetching, in MiB. It is counted where a repository has a url, or its libraries are wanted.";
    };
    registries = mkOption {
      type = types.attrsOf registry;
      default = { };
      example.pypi.place = "https://packages.example.org/pypi/simple";
      description = "Where the packages of libraries are fetched from, by `cargo`, `go`, `npm` and `pypi`; for those that aren't named, the public registry.";
    };
    register = mkOption {
      type = types.raw;
      readOnly = true;
      internal = true;
      default = register;
      description = "The command that registers a repository of the fleet: a function of its name and of it, computed.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions =
      map (name: {
        assertion = elsewhere ? ${name};
        message = "bawn.indexer.access.${name}: is for a repository with a url; bawn.fleet.repositories has none of this name.";
      }) (lib.attrNames cfg.access)
      ++ map (name: {
        assertion = lib.elem name ecosystems;
        message = "bawn.indexer.registries.${name}: there are registries of ${lib.concatStringsSep ", " ecosystems}, and no other.";
      }) (lib.attrNames cfg.registries);

    bawn.files =
      lib.optionalAttrs (fetched != { }) { bawn-index-fetch = fetch; }
      // lib.optionalAttrs (withLibraries != { }) { "bawn-registries.json" = registries; };

    # The one that reaches out, and sees no index but what it fetches into; the one that reads has no network.
    systemd.services.bawn-fetch = lib.mkIf (fetched != { }) {
      description = "Fetching of repositories and packages for the bawn indexer";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      startLimitIntervalSec = 0;
      serviceConfig = hardening.oneshot // {
        ExecStart = lib.getExe fetch;
        User = "bawn-indexer";
        Group = cfg.group;
        SupplementaryGroups = lib.optionals (hereAndFetched != { }) cfg.groups;
        # Their lock files say what is to be fetched.
        ReadOnlyPaths = map (repository: "-${repository.path}") (lib.attrValues hereAndFetched);
        StateDirectory = "bawn-index";
        StateDirectoryMode = "0750";
        UMask = "0027";
        LoadCredential = lib.concatMap (one: one.credentials) (
          lib.attrValues cfg.access ++ lib.attrValues cfg.registries
        );
        # A forge, and a registry, may be anywhere: public, in the team's own network, on the tailnet.
        IPAddressDeny = [ ];
        IPAddressAllow = [ ];
        SocketBindDeny = "any";
        MemoryMax = "${toString cfg.fetchMemoryMiB}M";
        Nice = 15;
        CPUWeight = 20;
        IOSchedulingClass = "idle";
        TimeoutStartSec = "2h";
      };
    };

    systemd.services.bawn-indexer = lib.mkIf (fetched != { }) {
      wants = [ "bawn-fetch.service" ];
      after = [ "bawn-fetch.service" ];
    };
  };
}
