# The indexer: brings the search index up to date on a timer and when something is pushed.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.indexer;
  hardening = import ./hardening.nix;
  inherit (config.bawn.fleet) repositories;
  inherit (config.bawn) search;

  state = "/var/lib/bawn-index";

  here = lib.filterAttrs (_: repository: repository.path != null) repositories;
  elsewhere = lib.filterAttrs (_: repository: repository.url != null) repositories;
  withLibraries = lib.filterAttrs (_: repository: repository.libraries != null) repositories;
  # What needs the network before it can be indexed.
  fetched = elsewhere // withLibraries;
  # Here, and read by the unit that has the network: their lock files are.
  hereAndFetched = lib.intersectAttrs here withLibraries;

  # Of a bare repository and of one with a work tree.
  branchFolders = lib.unique (
    lib.concatLists (
      lib.mapAttrsToList (
        _: repository:
        lib.concatMap (
          branch:
          map (git: dirOf "${repository.path}${git}/refs/heads/${branch}") [
            ""
            "/.git"
          ]
        ) repository.branches
      ) here
    )
  );

  # A unit for each: what happens to one folder of a unit makes systemd set up the watches on its others anew, and forget
  # what they had to tell.
  watch =
    folder:
    lib.nameValuePair "bawn-push@${utils.escapeSystemdPath folder}" {
      description = "Watch on the branches in ${folder}";
      wantedBy = [ "paths.target" ];
      pathConfig = {
        PathModified = folder;
        Unit = "bawn-push.service";
      };
    };

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

  ahead =
    lib.optional (fetched != { }) "bawn-fetch.service"
    ++ lib.optionals search.joined [
      "bawn-search-keys.service"
      "bawn-search-register.service"
    ];

  # Of the unit that parses strangers' files: none, or the address at which nothing but Meilisearch listens.
  network =
    if search.joined then
      {
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
        ];
        IPAddressAllow = [ search.address ];
        LoadCredential = search.access.indexer.credentials;
      }
    else
      hardening.offline;

  indexFile = name: settings: pkgs.writeText "bawn-${name}-index.json" (builtins.toJSON settings);
  writerFile = indexFile "writer" search.settings;
  readersFile = indexFile "readers" (search.settings // config.bawn.embedder.settings);

  # After a run into the embedded index.
  publish = ''
    # The index's own files are for its writer only. Readers get a snapshot: hard links of what never changes, copies
    # of the rest, and one rename, so that a reader sees the old index or the new one.
    for index in code docs libraries; do
      [ -d "$work/$index" ] || continue
      snapshot="$served/.$index-$(date +%s%N)"
      cp --recursive --link "$work/$index" "$snapshot"
      for file in meta.json .managed.json .tantivy-meta.lock .tantivy-writer.lock; do
        if [ -e "$work/$index/$file" ]; then
          rm "$snapshot/$file"
          cp "$work/$index/$file" "$snapshot/$file"
        fi
      done
      touch "$snapshot/.tantivy-meta.lock"
      chmod --recursive u=rwX,g=rX,o= "$snapshot"
      # Whoever reads holds this lock while it loads.
      chmod g+w "$snapshot/.tantivy-meta.lock"
      old=$(readlink "$served/$index" || true)
      ln --symbolic --no-dereference "$(basename "$snapshot")" "$served/.link"
      mv --no-target-directory "$served/.link" "$served/$index"
      for folder in "$served/.$index"-[0-9]*; do
        # The one before may still be open in a search that is under way.
        if [ "$folder" != "$snapshot" ] && [ "$(basename "$folder")" != "$old" ]; then
          rm --recursive "$folder"
        fi
      done
    done
  '';

  # After a run into Meilisearch. The embedded index that was served before stays where it is: an earlier generation of
  # this host goes back to it.
  tell = ''
    # Readers go over when all is in, or at once where they have nothing better. A link is of an earlier generation.
    if [ "$failed" = 0 ] || { [ -e "$served/index.json" ] && [ ! -L "$served/index.json" ]; } || [ -z "$(ls "$served")" ]; then
      install --mode=0640 ${readersFile} "$served/.index.json"
      mv "$served/.index.json" "$served/index.json"
    fi
  '';

  index = pkgs.writeShellApplication {
    name = "bawn-index-run";
    runtimeInputs = [
      config.bawn.package.indexer
      pkgs.coreutils
      pkgs.git
      pkgs.jq
    ];
    text = ''
      work=${state}/work
      served=${cfg.servedDirectory}
      failed=0

      # A push that comes from here on is for the next run.
      rm --force ${cfg.pushDirectory}/pushed

      # Where this run writes to.
      ${
        if search.joined then
          ''
            mkdir --parents --mode=0700 "$work"
            install --mode=0600 ${writerFile} "$work/index.json"''
        else
          ''rm --force "$work/index.json"''
      }

      # What the fleet doesn't name any more is forgotten; the run takes it out of the index.
      wanted=${lib.escapeShellArg (builtins.toJSON (lib.attrNames repositories))}
      bawn index status --json --index "$work" |
        jq --raw-output --argjson wanted "$wanted" '.repositories[].name | select(IN($wanted[]) | not)' |
        while read -r name; do
          bawn index remove "$name" --index "$work"
        done

      # One repository that isn't there must not keep the others from being indexed.
      ${lib.concatStrings (
        lib.mapAttrsToList (name: repository: ''
          ${register name repository} || failed=1
        '') here
      )}
      bawn index run --no-fetch --index "$work" || failed=1

      ${if search.joined then tell else publish}
      exit "$failed"
    '';
  };
in
{
  imports = [
    ./embedder.nix
    ./files.nix
    ./fleet.nix
    ./memory.nix
    ./packages.nix
    ./search.nix
  ];

  options.bawn.indexer = {
    enable = mkOption {
      type = types.bool;
      default = config.bawn.role == "gateway" && repositories != { };
      defaultText = lib.literalMD "true on the gateway host of a fleet that names repositories";
      example = true;
      description = "Index the fleet's repositories.";
    };
    interval = mkOption {
      type = types.str;
      default = "15min";
      example = "1h";
      description = "Time between two runs, for changes that the watch on the branches misses.";
    };
    groups = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "git" ];
      description = "Groups that the indexer needs to read the repositories' folders.";
    };
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
    group = mkOption {
      type = types.str;
      readOnly = true;
      default = "bawn-index";
      description = "Group whose members may read the served index.";
    };
    servedDirectory = mkOption {
      type = types.str;
      readOnly = true;
      default = "${state}/served";
      description = "Folder of the index that the gateway reads.";
    };
    pushDirectory = mkOption {
      type = types.str;
      readOnly = true;
      default = "${state}/pushes";
      description = "Folder in which the gateway leaves the file `pushed` when a forge's webhook reports a push; the indexer runs while it is there, and takes it away first.";
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = 384;
      example = 768;
      description = "Memory cap of a run, in MiB. It is 304 where {option}`bawn.search.enable` lets Meilisearch write the index.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = repositories != { };
        message = "bawn.indexer.enable: bawn.fleet.repositories names nothing to index.";
      }
    ]
    ++ lib.mapAttrsToList (name: repository: {
      assertion = (repository.path == null) != (repository.url == null);
      message = "bawn.fleet.repositories.${name}: needs path or url, and not both; say where the git repository is.";
    }) repositories
    ++ map (name: {
      assertion = elsewhere ? ${name};
      message = "bawn.indexer.access.${name}: is for a repository with a url; bawn.fleet.repositories has none of this name.";
    }) (lib.attrNames cfg.access)
    ++ map (name: {
      assertion = lib.elem name ecosystems;
      message = "bawn.indexer.registries.${name}: there are registries of ${lib.concatStringsSep ", " ecosystems}, and no other.";
    }) (lib.attrNames cfg.registries);

    # A run into Meilisearch has no writer of an embedded index in it.
    bawn.indexer.memoryMiB = lib.mkIf search.joined (lib.mkDefault 304);

    bawn.files = {
      bawn-index-run = index;
    }
    // lib.optionalAttrs search.joined { "bawn-writer-index.json" = writerFile; }
    // lib.optionalAttrs (search.joined || config.bawn.embedder.enable) { "bawn-readers-index.json" = readersFile; }
    // lib.optionalAttrs (fetched != { }) { bawn-index-fetch = fetch; }
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

    systemd.services.bawn-indexer = {
      description = "bawn indexer";
      wants = ahead;
      after = ahead;
      # Pushes may come faster than systemd's default takes starts; a path unit that meets that limit is off for good.
      startLimitIntervalSec = 0;
      serviceConfig = hardening.oneshot // network // {
        ExecStart = lib.getExe index;
        User = "bawn-indexer";
        Group = cfg.group;
        SupplementaryGroups = cfg.groups;
        StateDirectory = "bawn-index bawn-index/served";
        StateDirectoryMode = "0750";
        # The gateway, in the same group, reads what is published.
        UMask = "0027";
        # Repositories may be mounted anywhere but in homes; nothing there can be written.
        ReadOnlyPaths = map (repository: "-${repository.path}") (lib.attrValues here);
        MemoryMax = "${toString cfg.memoryMiB}M";
        # A file that makes its grammar eat all memory costs the process that parses it, not the run.
        OOMPolicy = "continue";
        # A search under way is worth more than an index that is a minute younger.
        Nice = 15;
        CPUWeight = 20;
        IOSchedulingClass = "idle";
        TimeoutStartSec = "6h";
        SocketBindDeny = "any";
      };
    };

    systemd.timers.bawn-indexer = {
      description = "bawn indexer, every ${cfg.interval}";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnBootSec = "1min";
        OnUnitInactiveSec = cfg.interval;
      };
    };

    systemd.paths = {
      # Whatever reports a push leaves a file, and a run takes it away before it looks: so a push during a run is seen after
      # it, where a watch on the branches themselves would miss what changes while the run lasts.
      bawn-indexer = {
        description = "bawn indexer, when a push is reported";
        wantedBy = [ "paths.target" ];
        pathConfig = {
          PathExists = "${cfg.pushDirectory}/pushed";
          # A run takes a second at least: more than so many are runs that fail before they have begun.
          TriggerLimitIntervalSec = "1min";
          TriggerLimitBurst = 120;
        };
      };
    }
    # A push to a repository on this host renames a file in the folder of the branch; a forge's is reported by the gateway.
    // lib.listToAttrs (map watch branchFolders);
    systemd.services.bawn-push = {
      description = "Report of a push to the bawn indexer";
      startLimitIntervalSec = 0;
      serviceConfig = hardening.oneshot // hardening.offline // {
        ExecStart = "${lib.getExe' pkgs.coreutils "touch"} ${cfg.pushDirectory}/pushed";
        User = "bawn-indexer";
        Group = cfg.group;
        ReadWritePaths = [ cfg.pushDirectory ];
        MemoryMax = "16M";
        SocketBindDeny = "any";
      };
    };

    # There before the gateway starts, for its view of the file system is fixed then.
    systemd.tmpfiles.rules = [
      "d ${state} 0750 bawn-indexer ${cfg.group} -"
      "d ${cfg.servedDirectory} 0750 bawn-indexer ${cfg.group} -"
      # The gateway, in the same group, writes here.
      "d ${cfg.pushDirectory} 0770 bawn-indexer ${cfg.group} -"
    ]
    # A generation without Meilisearch that follows one with it: the gateway goes back to the embedded index at once.
    ++ lib.optional (!search.joined) (
      if config.bawn.embedder.enable then
        "L+ ${cfg.servedDirectory}/index.json - - - - ${readersFile}"
      else
        "r ${cfg.servedDirectory}/index.json - - - - -"
    );

    users.users.bawn-indexer = {
      isSystemUser = true;
      inherit (cfg) group;
      description = "bawn indexer";
    };
    users.groups.${cfg.group} = { };
  };
}
