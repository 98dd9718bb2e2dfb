{
  description = "bawn: a private AI coding assistant on machines that your team controls";

  inputs = {
    # Hosts, kernel, driver and CUDA: the release branch, so that they move together.
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

    # uv.lock is the one truth about Python packages; these three turn it into derivations.
    pyproject-nix = {
      url = "github:pyproject-nix/pyproject.nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    uv2nix = {
      url = "github:pyproject-nix/uv2nix";
      inputs.nixpkgs.follows = "nixpkgs";
      inputs.pyproject-nix.follows = "pyproject-nix";
    };
    pyproject-build-systems = {
      url = "github:pyproject-nix/build-system-pkgs";
      inputs.nixpkgs.follows = "nixpkgs";
      inputs.pyproject-nix.follows = "pyproject-nix";
      inputs.uv2nix.follows = "uv2nix";
    };

    # nixpkgs has 0.28, which knows neither grants nor policy tests. Its flake would bring two inputs of its own for
    # what is one Go package, so only its source is taken.
    headscale = {
      url = "github:juanfont/headscale/v0.29.2";
      flake = false;
    };

    # Development only: no package, module or host refers to it, so that it is never fetched for those who use them.
    treefmt-nix = {
      url = "github:numtide/treefmt-nix";
      flake = false;
    };
  };

  outputs =
    inputs@{ self, nixpkgs, ... }:
    let
      inherit (nixpkgs) lib;
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      systems = linux ++ [
        "x86_64-darwin"
        "aarch64-darwin"
      ];

      pkgsFor = lib.genAttrs systems (
        system:
        import nixpkgs {
          inherit system;
          overlays = [ self.overlays.default ];
          # CUDA is the only thing here that is not free, and the only one that is let in.
          config.allowUnfreePredicate = nixpkgs.legacyPackages.${system}._cuda.lib.allowUnfreeCudaPredicate;
        }
      );
      eachSystem = f: lib.genAttrs systems (system: f pkgsFor.${system});
      eachLinux = f: lib.genAttrs linux (system: f pkgsFor.${system});

      # One service a file; the name of the file is the name of the module.
      modules = lib.genAttrs [
        "default"
        "bridge"
        "fleet"
        "gateway"
        "headscale"
        "health-gate"
        "indexer"
        "model-server"
        "monitoring"
        "nvidia"
        "search"
        "tailnet"
        "web-search"
        "weights"
      ] (name: ./nixos-modules + "/${name}.nix");

      host =
        folder:
        lib.nixosSystem {
          modules = [
            self.nixosModules.default
            { nixpkgs.overlays = [ self.overlays.default ]; }
            folder
          ];
        };

      # How a host's disk is written: BIOS and qcow2 for what providers rent (qemu-efi where they have UEFI: see "A generation
      # that doesn't come up" in docs/architecture.md), UEFI and raw for what stands under a desk.
      diskFormats = {
        headscale = "qemu";
        gateway = "qemu";
        gpu = "raw-efi";
        laptop = "raw-efi";
      };

      vmTests =
        pkgs:
        lib.mapAttrs' (name: test: lib.nameValuePair "vm-${name}" test) (
          import ./tests/vm { inherit lib pkgs self; }
        );

      # Scripts and files of every host: building them is what runs shellcheck over them.
      hostFiles =
        pkgs:
        pkgs.linkFarm "bawn-host-files" (
          lib.concatLists (
            lib.mapAttrsToList (
              host: nixos:
              lib.mapAttrsToList (name: path: {
                name = "${host}/${name}";
                inherit path;
              }) nixos.config.bawn.files
            ) self.nixosConfigurations
          )
        );

      treefmt =
        pkgs:
        (import inputs.treefmt-nix).evalModule pkgs {
          projectRootFile = "flake.nix";
          programs.nixfmt.enable = true;
          programs.deadnix.enable = true;
          programs.ruff-format.enable = true;
          programs.shellcheck.enable = true;
        };
    in
    {
      overlays.default = final: prev: {
        bawn = final.callPackage ./python/package.nix {
          inherit (inputs) uv2nix pyproject-nix pyproject-build-systems;
        };
        headscale_0_29 =
          (prev.headscale.override { buildGoModule = final.buildGo126Module; }).overrideAttrs
            {
              version = "0.29.2";
              src = inputs.headscale;
              vendorHash = (lib.importJSON (inputs.headscale + "/flakehashes.json")).vendor.sri;
              # nixpkgs' patch writes the tag of its own source into the version.
              postPatch = ''
                substituteInPlace hscontrol/types/version.go \
                  --replace-fail 'Version:   "dev"' 'Version: "0.29.2"'
              '';
            };
      };

      packages = lib.recursiveUpdate (eachSystem (pkgs: {
        inherit (pkgs.bawn) bridge;
        default = pkgs.bawn.bridge;
      })) (
        eachLinux (
          pkgs:
          removeAttrs pkgs.bawn [
            "override"
            "overrideDerivation"
          ]
          // {
            headscale = pkgs.headscale_0_29;
          }
          # What has CUDA is for x86_64 alone: so are the hosts with a GPU that the modules know and the pods that are
          # rented, and what `make test-cuda` compiles and reads. An ARM host with an NVIDIA GPU (Grace, Jetson) has other
          # architectures and drivers, which nothing here has tried.
          // lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") (
            {
              pod-image = pkgs.callPackage ./nixos-modules/pod/image.nix { };
            }
            # The example hosts as disks: for providers that take an image, and for a USB stick or an SSD.
            // lib.mapAttrs' (
              name: format:
              lib.nameValuePair "image-${name}" self.nixosConfigurations.${name}.config.system.build.images.${format}
            ) diskFormats
          )
        )
      );

      apps =
        let
          app = pkgs: package: command: description: {
            type = "app";
            program = toString (
              pkgs.writeShellScript "bawn-${command}" ''exec ${lib.getExe' package "bawn"} ${command} "$@"''
            );
            meta = { inherit description; };
          };
        in
        lib.recursiveUpdate
          (eachSystem (pkgs: {
            doctor = app pkgs pkgs.bawn.bridge "doctor" "Say what is wrong between this machine and its gateway";
          }))
          (
            eachLinux (pkgs: {
              demo = app pkgs pkgs.bawn.demo "demo" "Run the whole chain on this machine once";
              plan = app pkgs pkgs.bawn.model-server "plan" "Say which model fits which GPU, with how much context";
            })
          );

      nixosModules = modules;
      homeModules.bridge = ./nixos-modules/bridge-home.nix;

      nixosConfigurations = lib.genAttrs [ "headscale" "gateway" "gpu" "laptop" ] (name: host ./hosts/${name});

      templates = rec {
        fleet = {
          path = ./hosts;
          description = "A team's own coding assistant: its fleet and four hosts";
          welcomeText = "Change `fleet.nix` and each `hardware.nix`, then `nix flake check --no-build`.";
        };
        default = fleet;
      };

      formatter = eachSystem (pkgs: (treefmt pkgs).config.build.wrapper);

      # The VM tests need /dev/kvm; all else builds anywhere.
      checks = eachLinux (
        pkgs:
        {
          formatting = (treefmt pkgs).config.build.check self;
        }
        // lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") (
          { host-files = hostFiles pkgs; } // vmTests pkgs
        )
      );

      devShells = eachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.uv
            pkgs.python313
            pkgs.nixfmt
            pkgs.deadnix
            pkgs.shellcheck
          ];
          # uv is to use this interpreter, not to download one.
          env.UV_PYTHON_DOWNLOADS = "never";
        };
      });
    };
}
