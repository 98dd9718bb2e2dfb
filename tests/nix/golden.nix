# What every host runs, as text that can be read, compared and booted without building anything: { host = { file = text; }; }.
#   NAME.service            units of ours; those of users are under user/
#   nixpkgs/NAME.service    units of nixpkgs that a service of ours stands on
#   nixpkgs/beside/NAME.service     those that run beside ours, to be read and not to be booted
#   files/NAME              what the units run or read, where it isn't a package of programs
#   settings/NAME.json      what goes on top of the settings that the fleet renders, and the jq filter after it
#   firewall.nft            the tables of the host's firewall
#   sysusers.conf, tmpfiles.conf    users, groups and folders that the units need
let
  flake = import ./evaluate.nix;
  inherit (flake.inputs.nixpkgs) lib;

  neighbours = [
    "headscale.service"
    "meilisearch.service"
    "searx-init.service"
    "searx.service"
    "tailscaled.service"
    "tailscaled-autoconnect.service"
  ];

  beside = [
    "prometheus-node-exporter.service"
    "sshd.service"
  ];

  prefixed = prefix: lib.mapAttrs' (name: lib.nameValuePair (prefix + name));
  ours = lib.filterAttrs (name: _: lib.hasPrefix "bawn-" name);
  lines = list: lib.concatMapStrings (line: "${line}\n") list;

  # NixOS writes what requires a unit into no text: its links come from the value, and a reader has to see them here.
  text =
    unit:
    unit.text
    + lib.optionalString (unit.requiredBy != [ ]) (
      lib.optionalString (unit.wantedBy == [ ]) "\n[Install]\n"
      + "RequiredBy=${lib.concatStringsSep " " unit.requiredBy}\n"
    );

  # NixOS makes a script of each of these parts of a unit, under this name.
  jobs =
    services:
    lib.concatMapAttrs (
      name: service:
      lib.concatMapAttrs (
        part: suffix:
        lib.optionalAttrs (lib.elem "${name}.service" neighbours && service.${part} != "") {
          "unit-script-${name}-${suffix}" = "#!@bash@/bin/bash\nset -e\n${service.${part}}";
        }
      ) {
        preStart = "pre-start";
        script = "start";
        reload = "reload";
      }
    ) services;

  files =
    config:
    let
      inherit (config) systemd;
      texts =
        names:
        lib.mapAttrs (_: text) (
          lib.getAttrs (lib.filter (name: systemd.units ? ${name}) names) systemd.units
        );
      needed = lib.filterAttrs (
        name: _:
        lib.hasPrefix "bawn-" name
        || lib.elem name [
          "headscale"
          "searx"
        ]
      );
      users = lib.filterAttrs (_: user: user.isSystemUser) (needed config.users.users);
      groups = needed config.users.groups;
    in
    lib.mapAttrs (_: text) (ours systemd.units)
    // prefixed "user/" (lib.mapAttrs (_: text) (ours systemd.user.units))
    // prefixed "nixpkgs/" (texts neighbours)
    // prefixed "nixpkgs/beside/" (texts beside)
    // prefixed "files/" (lib.mapAttrs (_: file: file.text) config.bawn.files // jobs systemd.services)
    // prefixed "settings/" (
      lib.mapAttrs' (name: file: lib.nameValuePair "${name}.json" (builtins.toJSON file.source)) (
        lib.optionalAttrs config.bawn.gateway.enable { gateway = config.bawn.gateway.settingsFile; }
        // lib.optionalAttrs config.bawn.modelServer.enable { model-server = config.bawn.modelServer.settingsFile; }
        // lib.optionalAttrs config.bawn.bridge.enable { bridge = config.bawn.bridge.settingsFile; }
        // lib.optionalAttrs config.bawn.headscale.enable {
          headscale.source = {
            inherit (config.services.headscale) settings;
            filter = ".";
          };
        }
        // lib.optionalAttrs config.bawn.search.enable {
          meilisearch.source = {
            settings = config.services.meilisearch.settings // {
              master_key = "@MASTER_KEY@";
            };
            filter = ".";
          };
        }
        // lib.optionalAttrs config.bawn.webSearch.enable {
          searx.source = {
            settings = removeAttrs config.services.searx.settings [ "redis" ];
            filter = ".";
          };
        }
      )
    )
    // {
      "firewall.nft" = lib.concatStrings (
        lib.mapAttrsToList (name: table: "table ${table.family} ${name} {\n${table.content}}\n") (
          lib.filterAttrs (name: _: name == "nixos-fw" || lib.hasPrefix "bawn-" name) config.networking.nftables.tables
        )
      );
    }
    // lib.optionalAttrs (groups != { }) {
      "sysusers.conf" = lines (
        lib.mapAttrsToList (name: _: "g ${name} -") groups
        ++ lib.mapAttrsToList (name: user: "u ${name} -:${user.group} \"${user.description}\"") users
      );
      "tmpfiles.conf" = lines (lib.filter (lib.hasInfix "bawn") systemd.tmpfiles.rules);
    };

  hosts = lib.mapAttrs (_: host: host.config) flake.nixosConfigurations // {
    # A GPU host without a GPU, whose model server runs on the CPU: what machines without a card can boot.
    gpu-without-card =
      (flake.nixosConfigurations.gpu.extendModules { modules = [ { bawn.nvidia.enable = false; } ]; }).config;
    # The same, which keeps the beginnings of prompts on its disk while its model server is stopped.
    gpu-with-state =
      (flake.nixosConfigurations.gpu.extendModules {
        modules = [
          {
            bawn.nvidia.enable = false;
            bawn.fleet.nodes.gpu.state_on_disk = "encrypted";
            bawn.modelServer.stateKeyFile = "/var/lib/bawn-secrets/state-key";
          }
        ];
      }).config;
    # A GPU host that embeds, too, and whose fleet says where the weights are, and what they are.
    gpu-with-download =
      (flake.nixosConfigurations.gpu.extendModules {
        modules = [
          {
            bawn.fleet.models.coder = {
              url = "https://weights.example.org/Qwen3.6-27B-Q4_K_M.gguf";
              sha256 = lib.concatStrings (lib.genList (_: "0123456789abcdef") 4);
            };
            bawn.fleet.nodes.gpu.embedding_model = "embedder";
            bawn.fleet.models.embedder = {
              file = "embedder.gguf";
              size_mib = 600;
              url = "https://weights.example.org/embedder.gguf";
              sha256 = lib.concatStrings (lib.genList (_: "fedcba9876543210") 4);
            };
          }
        ];
      }).config;
    # A gateway whose fleet has a repository at a forge, and wants the documentation of its libraries.
    gateway-with-forge =
      (flake.nixosConfigurations.gateway.extendModules {
        modules = [
          {
            bawn.fleet.nodes.gateway.memory_mib = lib.mkForce 4096;
            bawn.fleet.repositories.forge = {
              url = "ssh://git@git.example.org/team/forge.git";
              branches = [
                "main"
                "release/*"
              ];
              libraries = "direct";
            };
            bawn.indexer.registries.pypi = {
              place = "https://packages.example.org/pypi/simple";
              tokenFile = "/run/secrets/token-pypi";
            };
            bawn.indexer.access.forge.keyFile = "/run/secrets/deploy-key-forge";
          }
        ];
      }).config;
    # A gateway whose index a Meilisearch has.
    gateway-with-meilisearch =
      (flake.nixosConfigurations.gateway.extendModules { modules = [ { bawn.search.enable = true; } ]; }).config;
    # A gateway whose fleet has a GPU host that embeds.
    gateway-with-embedder =
      (flake.nixosConfigurations.gateway.extendModules {
        modules = [
          {
            bawn.fleet.nodes.gpu.embedding_model = "embedder";
            bawn.fleet.models.embedder = {
              file = "embedder.gguf";
              size_mib = 600;
            };
          }
        ];
      }).config;
    # Headscale where no Let's Encrypt is: with a certificate that is given, and its address.
    headscale-with-certificate =
      (flake.nixosConfigurations.headscale.extendModules {
        modules = [
          {
            bawn.headscale = {
              certificateFile = "/var/lib/certificates/certificate.pem";
              certificateKeyFile = "/var/lib/certificates/key.pem";
              publicAddresses = {
                ipv4 = "10.88.0.1";
                ipv6 = "fd88:0:0:1::1";
              };
            };
          }
        ];
      }).config;
  };
in
lib.mapAttrs (_: files) hosts
// {
  fleet."fleet.json" = builtins.toJSON (
    lib.filterAttrsRecursive (_: value: value != null) flake.nixosConfigurations.gateway.config.bawn.fleet
  );
}
