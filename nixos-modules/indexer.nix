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

  ahead = lib.optionals search.joined [
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
          ${cfg.register name repository} || failed=1
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
    ./fetch.nix
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
    }) repositories;

    # A run into Meilisearch has no writer of an embedded index in it.
    bawn.indexer.memoryMiB = lib.mkIf search.joined (lib.mkDefault 304);

    bawn.files = {
      bawn-index-run = index;
    }
    // lib.optionalAttrs search.joined { "bawn-writer-index.json" = writerFile; }
    // lib.optionalAttrs (search.joined || config.bawn.embedder.enable) { "bawn-readers-index.json" = readersFile; };

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
