# The fleet: one description of people, nodes, models and repositories, from which everything else is rendered.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn;
  inherit (cfg) fleet;

  ports = {
    gateway = 8700;
    gpu = 8000;
    pod = 8000;
  };

  name = mkOption {
    type = types.strMatching "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
    example = "example";
    description = "Name of the team, for people to read.";
  };

  tailnet = types.submodule {
    options = {
      base_domain = mkOption {
        type = types.strMatching "[a-z0-9.-]+";
        example = "tailnet.example.org";
        description = "Domain of the tailnet: a node's name is `<node>.<base_domain>`. It need not exist in public DNS.";
      };
      server_url = mkOption {
        type = types.strMatching "https://[^/]+";
        default = "https://controlplane.tailscale.com";
        example = "https://headscale.example.org";
        description = "Where nodes join: the team's own Headscale, or Tailscale's where {option}`managed` is set.";
      };
      managed = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Use a tailnet that Tailscale, Inc. runs. The fleet then has no node of the role `headscale`.";
      };
    };
  };

  person = types.submodule {
    options = {
      login = mkOption {
        type = types.strMatching "[^@[:space:]]+@[^@[:space:]]*";
        example = "ada@example.org";
        description = "How the tailnet knows this person.";
      };
      models = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "coder" ];
        description = "Models that this person may use.";
      };
      indexes = mkOption {
        type = types.listOf (
          types.enum [
            "code"
            "docs"
            "libraries"
          ]
        );
        default = [ ];
        example = [
          "code"
          "docs"
        ];
        description = "Search indexes that this person may look into.";
      };
      ssh = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether this person operates the servers: may reach port 22 of gateway and GPU hosts over the tailnet.";
      };
    };
  };

  node = types.submodule {
    options = {
      role = mkOption {
        type = types.enum [
          "headscale"
          "gateway"
          "gpu"
          "pod"
          "laptop"
        ];
        example = "gateway";
        description = "What the node is for. It decides which services run there and which one port is open on the tailnet.";
      };
      owner = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "ada";
        description = "Whose laptop it is: a key of {option}`bawn.fleet.people`.";
      };
      gateway = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "gateway";
        description = "Which gateway a laptop's bridge uses; needed only where the fleet has several.";
      };
      models = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "coder" ];
        description = "What a GPU host or pod serves. A model server serves one model.";
      };
      embedding_model = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "embedder";
        description = "What a GPU host or pod embeds with beside that, for the search: a key of {option}`bawn.fleet.models`, the same on all nodes.";
      };
      state_on_disk = mkOption {
        type = types.nullOr (
          types.enum [
            "encrypted"
            "plain"
          ]
        );
        default = null;
        example = "encrypted";
        description = ''
          Whether a GPU host or pod keeps the beginnings of prompts on its disk while it is stopped, and so comes back
          warm. They are made of the prompts, code included, which can be told from them. `encrypted`: sealed by a key of
          yours ({option}`bawn.modelServer.stateKeyFile`; `BAWN_STATE_KEY` on a pod), without which nothing starts.
          `plain`: whoever can read the disk can read them. With null nothing is kept, and what was kept before is deleted.
        '';
      };
      memory_mib = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        example = 2048;
        description = "Main memory. Where it is given, a host whose units may take more together is refused.";
      };
      vram_mib = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        example = 24576;
        description = "Memory of the GPU. A model that doesn't fit is refused, and the host's preflight looks for this much.";
      };
    };
  };

  model = types.submodule {
    options = {
      file = mkOption {
        type = types.strMatching "[^/]+\\.gguf";
        example = "Qwen3.6-27B-Q4_K_M.gguf";
        description = "Name of the weights' file.";
      };
      size_mib = mkOption {
        type = types.ints.positive;
        example = 16500;
        description = "Memory that the weights take.";
      };
      kv_mib = mkOption {
        type = types.ints.unsigned;
        default = 0;
        example = 5000;
        description = "Memory that the KV cache of {option}`context_tokens` takes.";
      };
      context_tokens = mkOption {
        type = types.ints.positive;
        default = 8192;
        example = 65536;
        description = "Tokens of the KV cache, shared by all slots.";
      };
      slots = mkOption {
        type = types.ints.positive;
        default = 4;
        example = 8;
        description = "Requests that are decoded at the same time.";
      };
      url = mkOption {
        type = types.nullOr (types.strMatching "https://.+");
        default = null;
        example = "https://weights.example.org/Qwen3.6-27B-Q4_K_M.gguf";
        description = "Where the weights are fetched from; without it they are put on the host by hand.";
      };
      sha256 = mkOption {
        type = types.nullOr (types.strMatching "[0-9a-f]{64}");
        default = null;
        example = lib.concatStrings (lib.genList (_: "0123456789abcdef") 4);
        description = "SHA-256 of the file in hexadecimal, which fetched weights must have.";
      };
    };
  };

  repository = types.submodule {
    options = {
      path = mkOption {
        type = types.nullOr (types.strMatching "/.+");
        default = null;
        example = "/srv/git/app";
        description = "Folder of the git repository (bare, or with a work tree) on the gateway host; or {option}`url`.";
      };
      url = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "ssh://git@git.example.org/team/app.git";
        description = "Where the repository is fetched from, by https or ssh: {option}`bawn.indexer.access` names what opens it.";
      };
      project = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "services/api";
        description = "A folder in it; only what is below is indexed, as a scope of its own.";
      };
      include = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "*.py" ];
        description = "Globs; where there are any, only files that one of them names are indexed.";
      };
      exclude = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "third_party" ];
        description = "Globs of files that are not indexed.";
      };
      index = mkOption {
        type = types.enum [
          "code"
          "docs"
          "libraries"
        ];
        default = "code";
        example = "docs";
        description = "Index that it goes into.";
      };
      libraries = mkOption {
        type = types.nullOr (
          types.enum [
            "direct"
            "all"
          ]
        );
        default = null;
        example = "direct";
        description = "Of which libraries that its lock files name the documentation is fetched from package registries into the index `libraries`: of those that it needs itself, or of all; null: of none. {option}`bawn.indexer.registries` names other registries than the public ones.";
      };
      branches = mkOption {
        type = types.nonEmptyListOf types.str;
        default = [ "main" ];
        example = [
          "main"
          "release/*"
        ];
        description = "Branches whose commits are indexed, by name or pattern.";
      };
    };
  };

  # Parts that the services judge themselves.
  open =
    what: example:
    mkOption {
      type = types.attrsOf (types.attrsOf types.anything);
      default = { };
      inherit example;
      description = what;
    };

  withoutNulls = lib.filterAttrsRecursive (_: value: value != null);
  file = pkgs.writeText "fleet.json" (builtins.toJSON (withoutNulls fleet));

  rendered = pkgs.runCommand "bawn-settings-${cfg.node}" { } ''
    ${lib.getExe' cfg.package.bridge "bawn"} fleet render ${file} --node ${lib.escapeShellArg cfg.node} --out $out
  '';

  nodesOf = role: lib.attrNames (lib.filterAttrs (_: node: node.role == role) fleet.nodes);
  unknown = known: lib.filter (key: !(known ? ${key}));
  list = lib.concatStringsSep ", ";
  knownModels = "known: ${list (lib.attrNames fleet.models)}";
  # What a CUDA context, its compute buffers and the driver take beside weights and cache.
  vramReserve = 1024;
  need = key: fleet.models.${key}.size_mib + fleet.models.${key}.kv_mib;

  refuse = wrong: message: {
    assertion = !wrong;
    inherit message;
  };

  nodeProblems = lib.concatLists (
    lib.mapAttrsToList (
      key: node:
      let
        at = "bawn.fleet.nodes.${key}";
        serves = node.role == "gpu" || node.role == "pod";
        strangers = unknown fleet.models node.models;
        served = node.models ++ lib.optional (node.embedding_model != null) node.embedding_model;
        needed = lib.foldl' builtins.add vramReserve (map need served);
      in
      [
        (refuse (builtins.match "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?" key == null)
          "${at}: can't be a node's name; use small letters, digits and hyphens, as in DNS."
        )
        (refuse (node.role == "laptop" && node.owner == null) "${at}.owner: a laptop belongs to somebody: name one of bawn.fleet.people.")
        (refuse (node.role != "laptop" && node.owner != null) "${at}.owner: a ${node.role} belongs to nobody; only laptops have an owner.")
        (refuse (node.owner != null && !(fleet.people ? ${toString node.owner}))
          "${at}.owner: ${toString node.owner} is not in bawn.fleet.people; known: ${list (lib.attrNames fleet.people)}."
        )
        (refuse (node.role == "laptop" && node.gateway == null && lib.length gateways > 1)
          "${at}.gateway: there are several, and a bridge uses one; name one of ${list gateways}."
        )
        (refuse (node.gateway != null && !lib.elem node.gateway gateways)
          "${at}.gateway: ${toString node.gateway} is no node of the role gateway; known: ${list gateways}."
        )
        (refuse (node.role != "laptop" && node.gateway != null) "${at}.gateway: a ${node.role} has no bridge; only laptops use a gateway.")
        (refuse (strangers != [ ]) "${at}.models: ${list strangers} is not in bawn.fleet.models; ${knownModels}.")
        (refuse (serves && lib.length node.models != 1)
          "${at}.models: names ${toString (lib.length node.models)} models; a ${node.role} serves exactly one."
        )
        (refuse (!serves && node.models != [ ]) "${at}.models: a ${node.role} serves no models; only gpu and pod do.")
        (refuse (!serves && node.embedding_model != null)
          "${at}.embedding_model: a ${node.role} serves no models; only gpu and pod do."
        )
        (refuse (!serves && node.state_on_disk != null)
          "${at}.state_on_disk: a ${node.role} serves no models; only gpu and pod do."
        )
        (refuse (node.embedding_model != null && unknown fleet.models [ node.embedding_model ] != [ ])
          "${at}.embedding_model: ${toString node.embedding_model} is not in bawn.fleet.models; ${knownModels}."
        )
        (refuse (lib.elem node.embedding_model node.models)
          "${at}.embedding_model: ${toString node.embedding_model} is what the node generates with; one model can't do both."
        )
        (refuse (lib.length embedding > 1)
          "${at}.embedding_model: nodes embed with ${list embedding}; two models' vectors don't compare. Name one."
        )
        (refuse (serves && unknown fleet.models served == [ ] && node.vram_mib != null && needed > node.vram_mib)
          "${at}.vram_mib: ${list served} needs ${toString needed} MiB (weights, KV cache and ${toString vramReserve} MiB of buffers), but the GPU has ${toString node.vram_mib} MiB. Take a smaller quantisation or fewer context_tokens."
        )
      ]
    ) fleet.nodes
  );

  personProblems = lib.concatLists (
    lib.mapAttrsToList (
      key: person:
      let
        strangers = unknown (fleet.models // fleet.aliases) person.models;
        twins = lib.attrNames (lib.filterAttrs (_: other: other.login == person.login) fleet.people);
      in
      [
        (refuse (strangers != [ ]) "bawn.fleet.people.${key}.models: ${list strangers} is not in bawn.fleet.models; ${knownModels}.")
        (refuse (lib.length twins > 1) "bawn.fleet.people.${key}.login: ${person.login} is the login of ${list twins}; logins must differ.")
      ]
    ) fleet.people
  );

  modelProblems =
    lib.mapAttrsToList (
      key: model:
      refuse ((model.url == null) != (model.sha256 == null))
        "bawn.fleet.models.${key}: url and sha256 go together: weights that nobody checks are not fetched."
    ) fleet.models
    ++ lib.concatLists (
      lib.mapAttrsToList (alias: target: [
        (refuse (!(fleet.models ? ${target})) "bawn.fleet.aliases.${alias}: ${target} is not in bawn.fleet.models; ${knownModels}.")
        (refuse (fleet.models ? ${alias}) "bawn.fleet.aliases.${alias}: a model has this name already; choose another.")
      ]) fleet.aliases
    );

  embedding = lib.unique (
    lib.filter (model: model != null) (lib.mapAttrsToList (_: node: node.embedding_model) fleet.nodes)
  );

  host = lib.removePrefix "https://" fleet.tailnet.server_url;
  headscales = nodesOf "headscale";
  gateways = nodesOf "gateway";

  wholeProblems = [
    (refuse (!(fleet.nodes ? ${cfg.node})) "bawn.node: ${cfg.node} is not in bawn.fleet.nodes; known: ${list (lib.attrNames fleet.nodes)}.")
    (refuse (gateways == [ ]) "bawn.fleet.nodes: no node has the role gateway, and everything goes through one; add it.")
    (refuse (!fleet.tailnet.managed && lib.length headscales != 1)
      "bawn.fleet.nodes: ${toString (lib.length headscales)} nodes have the role headscale (${list headscales}); a tailnet of one's own needs exactly one. Or set bawn.fleet.tailnet.managed."
    )
    (refuse (fleet.tailnet.managed && headscales != [ ])
      "bawn.fleet.tailnet.managed: Tailscale runs the tailnet, yet ${list headscales} has the role headscale. Take out one of the two."
    )
    (refuse (host == fleet.tailnet.base_domain || lib.hasSuffix ".${fleet.tailnet.base_domain}" host)
      "bawn.fleet.tailnet.base_domain: holds the name in server_url (${host}), which nodes must find before they are in the tailnet. Choose a domain beside it, such as tailnet.example.org beside headscale.example.org."
    )
  ];
in
{
  imports = [ ./packages.nix ];

  options.bawn = {
    node = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "gateway";
      description = ''
        Which node of the fleet this host is: a key of {option}`bawn.fleet.nodes`. Its role decides which services run
        here. With null the host is in no fleet, and each service is enabled and set by hand.
      '';
    };

    fleet = {
      inherit name;
      tailnet = mkOption {
        type = tailnet;
        example = {
          base_domain = "tailnet.example.org";
          server_url = "https://headscale.example.org";
        };
        description = "The private network that joins the nodes.";
      };
      people = mkOption {
        type = types.attrsOf person;
        default = { };
        example.ada = {
          login = "ada@example.org";
          models = [ "coder" ];
          indexes = [ "code" ];
        };
        description = "Who uses the assistant, by a short name.";
      };
      nodes = mkOption {
        type = types.attrsOf node;
        default = { };
        example.gateway = {
          role = "gateway";
          memory_mib = 2048;
        };
        description = "Machines, by their name on the tailnet.";
      };
      models = mkOption {
        type = types.attrsOf model;
        default = { };
        example.coder = {
          file = "Qwen3.6-27B-Q4_K_M.gguf";
          size_mib = 16500;
          kv_mib = 5000;
          context_tokens = 65536;
        };
        description = "Models, by the name that clients ask for.";
      };
      aliases = mkOption {
        type = types.attrsOf types.str;
        default = { };
        example.default = "coder";
        description = "Further names of models: what clients are configured with stays when the model behind it changes.";
      };
      repositories = mkOption {
        type = types.attrsOf repository;
        default = { };
        example.app.path = "/srv/git/app";
        description = "What the indexer reads, by the name that searches show.";
      };
      documents = open "Documents beside the repositories, by name." { handbook.path = "/srv/docs"; };
      pods = open "Rented GPU pods, by name." { burst.node = "pod"; };
      budgets = open "What a person may use a day, by the person's name." { ada.tokens = 2000000; };
    };

    role = mkOption {
      type = types.nullOr types.str;
      readOnly = true;
      default = if cfg.self == null then null else cfg.self.role;
      defaultText = lib.literalExpression "config.bawn.fleet.nodes.\${config.bawn.node}.role";
      description = "Role of this host, computed.";
    };

    self = mkOption {
      type = types.nullOr types.raw;
      readOnly = true;
      default = if cfg.node == null then null else fleet.nodes.${cfg.node} or null;
      defaultText = lib.literalExpression "config.bawn.fleet.nodes.\${config.bawn.node}";
      description = "This host's entry in the fleet, computed.";
    };

    ports = mkOption {
      type = types.attrsOf types.port;
      readOnly = true;
      default = ports;
      description = "The one port that a role has on the tailnet.";
    };

    fleetFile = mkOption {
      type = types.nullOr types.package;
      readOnly = true;
      default = if cfg.node == null then null else file;
      defaultText = lib.literalMD "the fleet as JSON";
      description = "The fleet as a JSON file, as `bawn fleet` reads it.";
    };

    rendered = mkOption {
      type = types.nullOr types.package;
      readOnly = true;
      default = if cfg.node == null then null else rendered;
      defaultText = lib.literalMD "what `bawn fleet render` writes for this node";
      description = ''
        Folder with this node's settings (`gateway.json`, `model-server.json` or `bridge.json`), rendered at build time
        by the same code that the command line uses.
      '';
    };
  };

  config = lib.mkIf (cfg.node != null) {
    assertions = wholeProblems ++ nodeProblems ++ personProblems ++ modelProblems;
    # Before the default of the clouds' images, which leave the name to their metadata service.
    networking.hostName = lib.mkOverride 900 cfg.node;
    # One readable set of rules for each host, loaded as one transaction.
    networking.nftables.enable = lib.mkDefault true;
    # `bawn doctor` is what whoever is called to a host runs first.
    environment.systemPackages = [ config.bawn.package.bridge ];
  };
}
