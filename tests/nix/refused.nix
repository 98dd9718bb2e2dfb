# Configurations that must not evaluate, each with a part of the message that it must end with.
#
# Each is added to the example host that `host` names; `home` is home-manager's (home.nix). `message` is compared with
# what evaluation of `config.system.build.toplevel` prints.
let
  fleet = module: {
    host = "gateway";
    module.bawn.fleet = module;
  };
  force = value: {
    _type = "override";
    priority = 50;
    content = value;
  };
  gateway = module: {
    host = "gateway";
    module.bawn = module;
  };
  gpu = module: {
    host = "gpu";
    module.bawn = module;
  };
  home = module: {
    host = "home";
    module.bawn.bridge = module // {
      enable = true;
    };
  };
  inTheStore = "${builtins.storeDir}/00000000000000000000000000000000-secret";
  refused = case: message: case // { inherit message; };
in
{
  # The fleet.
  unknown-node = refused (gateway { node = force "gatway"; }) "bawn.node: gatway is not in bawn.fleet.nodes; known: ada-laptop, gateway, gpu, headscale.";
  node-name = refused (fleet {
    nodes."GPU_2" = {
      role = "gpu";
      models = [ "coder" ];
    };
  }) "bawn.fleet.nodes.GPU_2: can't be a node's name";
  laptop-without-owner = refused (fleet {
    nodes.spare.role = "laptop";
  }) "bawn.fleet.nodes.spare.owner: a laptop belongs to somebody";
  server-with-owner = refused (fleet {
    nodes.gateway.owner = "ada";
  }) "bawn.fleet.nodes.gateway.owner: a gateway belongs to nobody";
  unknown-owner = refused (fleet {
    nodes.spare = {
      role = "laptop";
      owner = "bob";
    };
  }) "bawn.fleet.nodes.spare.owner: bob is not in bawn.fleet.people; known: ada.";
  unknown-model-of-node = refused (fleet {
    nodes.gpu.models = force [ "codr" ];
  }) "bawn.fleet.nodes.gpu.models: codr is not in bawn.fleet.models; known: coder.";
  gpu-without-model = refused (fleet {
    nodes.gpu.models = force [ ];
  }) "bawn.fleet.nodes.gpu.models: names 0 models; a gpu serves exactly one.";
  gateway-with-model = refused (fleet {
    nodes.gateway.models = [ "coder" ];
  }) "bawn.fleet.nodes.gateway.models: a gateway serves no models";
  model-does-not-fit = refused (fleet {
    nodes.gpu.vram_mib = force 16384;
  }) "bawn.fleet.nodes.gpu.vram_mib: coder needs 22524 MiB";
  gateway-that-embeds = refused (fleet {
    nodes.gateway.embedding_model = "coder";
  }) "bawn.fleet.nodes.gateway.embedding_model: a gateway serves no models";
  gateway-that-keeps-state = refused (fleet {
    nodes.gateway.state_on_disk = "plain";
  }) "bawn.fleet.nodes.gateway.state_on_disk: a gateway serves no models";
  unknown-embedding-model = refused (fleet {
    nodes.gpu.embedding_model = "embeder";
  }) "bawn.fleet.nodes.gpu.embedding_model: embeder is not in bawn.fleet.models; known: coder.";
  embeds-with-what-generates = refused (fleet {
    nodes.gpu.embedding_model = "coder";
    nodes.gpu.vram_mib = force 65536;
  }) "bawn.fleet.nodes.gpu.embedding_model: coder is what the node generates with";
  two-embedding-models = refused (fleet {
    nodes.gpu.embedding_model = "small";
    nodes.gpu2 = {
      role = "gpu";
      models = [ "coder" ];
      embedding_model = "large";
    };
    models.small = {
      file = "small.gguf";
      size_mib = 100;
    };
    models.large = {
      file = "large.gguf";
      size_mib = 100;
    };
  }) "nodes embed with small, large; two models' vectors don't compare.";
  embedding-model-does-not-fit = refused (fleet {
    nodes.gpu.embedding_model = "embedder";
    models.embedder = {
      file = "embedder.gguf";
      size_mib = 2500;
    };
  }) "bawn.fleet.nodes.gpu.vram_mib: coder, embedder needs 25024 MiB";
  embedding-weights-from-nowhere = refused {
    host = "gpu";
    module.bawn = {
      weights.source = "download";
      fleet.nodes.gpu.embedding_model = "embedder";
      fleet.models.embedder = {
        file = "embedder.gguf";
        size_mib = 100;
      };
    };
  } "bawn.weights.source: is download, but bawn.fleet.models.embedder.url names no place";
  embedder-without-an-indexer = refused (gateway {
    embedder.enable = true;
    indexer.enable = false;
    fleet.nodes.gpu.embedding_model = "embedder";
    fleet.models.embedder = {
      file = "embedder.gguf";
      size_mib = 100;
    };
  }) "bawn.embedder.enable: nothing is indexed on this host; bawn.indexer.enable is false.";
  embedder-without-a-model = refused (gateway {
    embedder.enable = true;
  }) "bawn.embedder.enable: no node of bawn.fleet.nodes has an embedding_model.";
  unknown-model-of-person = refused (fleet {
    people.ada.models = [ "writer" ];
  }) "bawn.fleet.people.ada.models: writer is not in bawn.fleet.models";
  one-login-twice = refused (fleet {
    people.lovelace.login = "ada@example.org";
  }) "ada@example.org is the login of ada, lovelace; logins must differ.";
  weights-without-hash = refused (fleet {
    models.coder.url = "https://weights.example.org/coder.gguf";
  }) "bawn.fleet.models.coder: url and sha256 go together";
  alias-of-nothing = refused (fleet {
    aliases.fast = "tiny";
  }) "bawn.fleet.aliases.fast: tiny is not in bawn.fleet.models";
  alias-named-like-a-model = refused (fleet {
    aliases.coder = "coder";
  }) "bawn.fleet.aliases.coder: a model has this name already";
  no-gateway = refused (fleet {
    nodes.gateway.role = force "laptop";
    nodes.gateway.owner = "ada";
  }) "bawn.fleet.nodes: no node has the role gateway";
  laptop-between-two-gateways =
    refused (fleet { nodes.gateway2.role = "gateway"; })
      "bawn.fleet.nodes.ada-laptop.gateway: there are several, and a bridge uses one; name one of gateway, gateway2.";
  laptop-of-another-gateway = refused (fleet {
    nodes.ada-laptop.gateway = "gpu";
  }) "bawn.fleet.nodes.ada-laptop.gateway: gpu is no node of the role gateway; known: gateway.";
  server-with-a-gateway = refused (fleet {
    nodes.gpu.gateway = "gateway";
  }) "bawn.fleet.nodes.gpu.gateway: a gpu has no bridge";
  two-headscales = refused (fleet {
    nodes.headscale2.role = "headscale";
  }) "bawn.fleet.nodes: 2 nodes have the role headscale";
  managed-with-headscale = refused (fleet {
    tailnet.managed = true;
  }) "bawn.fleet.tailnet.managed: Tailscale runs the tailnet, yet headscale has the role headscale.";
  server-inside-the-tailnet = refused (fleet {
    tailnet.base_domain = force "example.org";
  }) "bawn.fleet.tailnet.base_domain: holds the name in server_url (headscale.example.org)";

  # Memory.
  caps-beyond-the-host = refused (gateway {
    search.enable = true;
    search.memoryMiB = 1024;
  }) "bawn.fleet.nodes.gateway.memory_mib: the host has 2048 MiB, but its units may take 2176 MiB";
  cap-of-a-foreign-unit = refused {
    host = "gateway";
    module.systemd.services.other = {
      script = "true";
      serviceConfig.MemoryMax = "1G";
    };
  } "other.service 1024";
  cap-by-percentage = refused {
    host = "gateway";
    module.bawn.search.enable = true;
    module.systemd.services.other = {
      script = "true";
      serviceConfig.MemoryMax = "12.5%";
    };
  } "other.service 256";
  indexing-beyond-its-cap = refused (gateway {
    search.enable = true;
    search.indexingMemoryMiB = 512;
  }) "bawn.search.indexingMemoryMiB: 512 must be less than bawn.search.memoryMiB (512)";

  # Secrets.
  literal-secret = refused (gateway {
    search.enable = true;
    search.masterKeyFile = force "correct horse battery staple";
  }) "bawn.search.masterKeyFile: is not an absolute path; a secret written into the configuration would end in the Nix store.";
  secret-as-nix-path = refused (gateway {
    tailnet.authKeyFile = force ./refused.nix;
  }) "bawn.tailnet.authKeyFile: is a Nix path";
  secret-in-the-store = refused (gpu {
    modelServer.tokenFile = force inTheStore;
  }) "bawn.modelServer.tokenFile: lies in the Nix store";
  secret-in-the-store-by-interpolation = refused (gateway {
    gateway.upstreamTokenFiles.gpu = force "${./refused.nix}";
  }) "bawn.gateway.upstreamTokenFiles.gpu: lies in the Nix store";
  secret-with-a-colon = refused (gateway {
    search.enable = true;
    search.masterKeyFile = force "/run/a:b";
  }) "bawn.search.masterKeyFile: holds a space, a colon or a percent sign";

  bridge-key-in-the-store = refused {
    host = "laptop";
    module.bawn.bridge.keyFile = inTheStore;
  } "bawn.bridge.keyFile: lies in the Nix store";
  bridge-key-beside-the-home = refused {
    host = "laptop";
    module.bawn.bridge.keyFile = "%h.key";
  } "bawn.bridge.keyFile: is not an absolute path";

  # Services.
  token-for-no-node = refused (gateway {
    gateway.upstreamTokenFiles.gpu2 = "/run/secrets/token";
  }) "bawn.gateway.upstreamTokenFiles: gpu2 is no gpu or pod in bawn.fleet.nodes; known: gpu.";
  webhooks-without-indexer = refused (gateway {
    gateway.webhookSecretFile = "/run/secrets/webhook";
    indexer.enable = force false;
  }) "bawn.gateway.webhookSecretFile: a push starts the indexer, but bawn.indexer.enable is false.";
  webhook-secret-in-the-configuration = refused (gateway {
    gateway.webhookSecretFile = "a webhook secret";
  }) "bawn.gateway.webhookSecretFile: is not an absolute path";
  gateway-on-every-network =
    refused (gateway { gateway.listenAddress = "0.0.0.0"; })
      "bawn.gateway.listenAddress: 0.0.0.0 is every network";
  gateway-on-no-tailnet = refused (gateway {
    tailnet.enable = false;
    gateway.listenAddress = null;
  }) "bawn.gateway.listenAddress: null means the tailnet address, but bawn.tailnet.enable is false";
  model-server-on-every-network =
    refused (gpu { modelServer.listenAddress = "::"; })
      "bawn.modelServer.listenAddress: :: is every network";
  model-server-on-no-tailnet = refused (gpu {
    tailnet.enable = false;
    modelServer.listenAddress = null;
  }) "bawn.modelServer.listenAddress: null means the tailnet address, but bawn.tailnet.enable is false";
  model-server-without-token =
    refused (gpu { modelServer.tokenFile = force null; })
      "bawn.modelServer.tokenFile: is not set";
  state-encrypted-without-a-key = refused (gpu {
    fleet.nodes.gpu.state_on_disk = "encrypted";
  }) "bawn.modelServer.stateKeyFile: is not set, but bawn.modelServer.stateOnDisk is encrypted";
  state-key-for-nothing = refused (gpu {
    fleet.nodes.gpu.state_on_disk = "plain";
    modelServer.stateKeyFile = "/run/secrets/state-key";
  }) "bawn.modelServer.stateKeyFile: encrypts nothing, since bawn.modelServer.stateOnDisk is not encrypted.";
  weights-from-nowhere =
    refused (gpu { weights.source = "store"; })
      "bawn.weights.source: is store, but bawn.fleet.models.coder.url names no place";
  no-model-to-serve = refused (gateway {
    modelServer.enable = true;
    modelServer.tokenFile = "/run/secrets/token";
  }) "bawn.weights.path: there is no model to serve";
  search-without-key = refused (gateway {
    search.enable = true;
    search.masterKeyFile = force null;
  }) "bawn.search.masterKeyFile: is not set";
  indexer-without-repositories = refused (gateway {
    indexer.enable = true;
    fleet.repositories = force { };
  }) "bawn.indexer.enable: bawn.fleet.repositories names nothing to index.";
  repository-in-two-places = refused (gateway {
    fleet.repositories.app.url = "https://git.example.org/app";
  }) "bawn.fleet.repositories.app: needs path or url, and not both";
  access-to-an-unknown-repository = refused (gateway {
    indexer.access.other.keyFile = "/run/secrets/key";
  }) "bawn.indexer.access.other: is for a repository with a url";
  registry-of-an-unknown-ecosystem = refused (gateway {
    indexer.registries.cpan.place = "none";
  }) "bawn.indexer.registries.cpan: there are registries of cargo, go, npm, pypi";
  old-headscale = refused {
    host = "headscale";
    module = { pkgs, ... }: { bawn.headscale.package = pkgs.headscale; };
  } "0.29 is the first that knows grants and policy tests.";
  certificate-without-key = refused {
    host = "headscale";
    module.bawn.headscale.certificateFile = "/var/lib/certificates/headscale.pem";
  } "bawn.headscale.certificateFile and bawn.headscale.certificateKeyFile go together";
  headscale-beside-managed = refused {
    host = "headscale";
    module.bawn.fleet.tailnet.managed = true;
  } "bawn.headscale.enable: bawn.fleet.tailnet.managed says that Tailscale runs the tailnet.";
  tailnet-outside-the-fleet = refused (gateway {
    node = force null;
    gateway.upstreamTokenFiles = force { };
    tailnet.enable = true;
  }) "bawn.tailnet.enable: a host that is no node of the fleet has no tailnet to join";
  gate-without-checks = refused (gateway {
    healthGate.enable = true;
    healthGate.checks = force { };
  }) "bawn.healthGate.checks: is empty";
  prometheus-elsewhere =
    refused (gpu { monitoring.prometheus.enable = true; })
      "bawn.monitoring.prometheus.enable: belongs on the gateway host";
  bridge-without-gateway =
    refused (gateway { bridge.enable = true; })
      "bawn.bridge.settings.gateway_url: is not set";

  # home-manager.
  home-bridge-without-gateway =
    refused (home { })
      "bawn.bridge.settings.gateway_url: is not set; it is the address of the team's gateway.";
  home-key-in-the-store = refused (home {
    settings.gateway_url = "http://gateway.tailnet.example.org:8700";
    keyFile = inTheStore;
  }) "bawn.bridge.keyFile: must be the absolute path of a file outside the Nix store";

  # Driver and CUDA.
  driver-too-old =
    refused (gpu { nvidia.driverBranch = "dc_570"; })
      "bawn.nvidia.driverBranch: dc_570 is driver 570.172.08, but CUDA 12.9 needs 575.51.03 or later";
  another-cuda =
    refused (gpu { nvidia.cuda = "12.8"; })
      "bawn.nvidia.cuda: is 12.8, but bawn.package.model-server-cuda is compiled with CUDA 12.9";
  another-kernel = refused {
    host = "gpu";
    module = { pkgs, ... }: { boot.kernelPackages = pkgs.linuxPackages_6_6; };
  } "but bawn.nvidia.kernel pins the series 6.18";
}
