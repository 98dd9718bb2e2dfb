# The Python side from uv.lock: one environment a role, so that Nix users, pip users and the tests run the very same
# versions. Nothing of nixpkgs' own Python packages is used but the interpreter.
{
  lib,
  pkgs,
  uv2nix,
  pyproject-nix,
  pyproject-build-systems,
}:
let
  workspace = uv2nix.lib.workspace.loadWorkspace { workspaceRoot = ./.; };
  llama-cpp = lib.importJSON ./llama-cpp.json;
  cmakeDefinitions = lib.mapAttrsToList (name: value: "-D${name}=${value}");

  # Wheels as PyPI publishes them; what has none (sdnotify, llama-cpp-python) is built from its locked sdist.
  locked = workspace.mkPyprojectOverlay { sourcePreference = "wheel"; };

  # Only what the program consists of: a change to a test or to the lock's neighbours rebuilds nothing.
  source = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./pyproject.toml
      ./README.md
      ./src
    ];
  };

  # `cuda` is the package set of the pinned CUDA release, or null for a build that runs on the CPU; `architectures` are
  # the compute capabilities that it is compiled for.
  overrides =
    { cuda, architectures }:
    final: prev:
    {
      bawn = prev.bawn.overrideAttrs { src = source; };

      # An sdist's build system is not in the lock.
      sdnotify = prev.sdnotify.overrideAttrs (old: {
        nativeBuildInputs = (old.nativeBuildInputs or [ ]) ++ final.resolveBuildSystem { setuptools = [ ]; };
      });

      llama-cpp-python = prev.llama-cpp-python.overrideAttrs (old: {
        # The default is the C++ of the interpreter's own standard environment, which may be newer than nvcc accepts.
        stdenv = if cuda == null then pkgs.stdenv else cuda.backendStdenv;
        nativeBuildInputs =
          (old.nativeBuildInputs or [ ])
          ++ final.resolveBuildSystem { scikit-build-core = [ ]; }
          ++ [
            pkgs.cmake
            pkgs.ninja
          ]
          ++ lib.optionals (cuda != null) [
            cuda.cuda_nvcc
            pkgs.autoAddDriverRunpath # libcuda comes from the host's driver, never from the closure
          ];
        buildInputs =
          (old.buildInputs or [ ])
          ++ lib.optionals (cuda != null) [
            cuda.cuda_cudart
            cuda.cccl
            cuda.libcublas
          ];
        dontUseCmakeConfigure = true; # scikit-build-core calls cmake itself
        # It reads CMAKE_ARGS alone, so nixpkgs' own flags are passed on there too.
        preBuild = ''
          export CMAKE_ARGS="''${cmakeFlags[*]:-} ${
            lib.concatStringsSep " " (
              cmakeDefinitions llama-cpp.cmake
              ++ lib.optionals (cuda != null) (
                cmakeDefinitions llama-cpp.cmake_cuda
                # -real: machine code only. From PTX the driver would compile at run time, for minutes.
                ++ [ "-DCMAKE_CUDA_ARCHITECTURES=${lib.concatMapStringsSep ";" (name: "${name}-real") architectures}" ]
              )
            )
          }"
        ''
        + (old.preBuild or "");
      });
    };

  pythonSet =
    target:
    (pkgs.callPackage pyproject-nix.build.packages { python = pkgs.python313; }).overrideScope (
      lib.composeManyExtensions [
        pyproject-build-systems.overlays.default
        locked
        (overrides target)
      ]
    );

  inherit (pkgs.callPackages pyproject-nix.build.util { }) mkApplication;

  # A role's environment, of which only `bin/bawn` is seen.
  application =
    {
      name,
      description,
      extras,
      cuda ? null,
      architectures ? [ ],
    }:
    let
      set = pythonSet { inherit cuda architectures; };
      venv = set.mkVirtualEnv "bawn-${name}-env" { bawn = extras; };
    in
    (mkApplication {
      inherit venv;
      package = set.bawn;
    }).overrideAttrs
      (old: {
        pname = "bawn-${name}";
        name = "bawn-${name}-${set.bawn.version}";
        passthru = (old.passthru or { }) // {
          inherit venv;
          pythonSet = set;
        };
        meta = (old.meta or { }) // {
          inherit description;
          homepage = "https://github.com/bawn/bawn";
          license = lib.licenses.asl20;
          mainProgram = "bawn";
        };
      });
in
{
  bridge = application {
    name = "bridge";
    description = "bawn's laptop side: an OpenAI-compatible server on loopback";
    extras = [ ];
  };
}
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux {
  gateway = application {
    name = "gateway";
    description = "bawn's gateway: keys, routing, relay, MCP search tools";
    extras = [ "gateway" ];
  };
  indexer = application {
    name = "indexer";
    description = "bawn's indexer of repositories";
    extras = [ "indexer" ];
  };
  model-server = application {
    name = "model-server";
    description = "bawn's model server, on the CPU";
    extras = [ "model" ];
  };
  # `make demo` for Nix users.
  demo = application {
    name = "demo";
    description = "The whole of bawn on one machine, with a small model";
    extras = [
      "all"
      "demo" # the dependency group with the model
    ];
  };
}
# Not for ARM: see the flake's packages.
// lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") {
  model-server-cuda =
    let
      compiledFor =
        architectures:
        (application {
          name = "model-server-cuda";
          description = "bawn's model server, on NVIDIA GPUs";
          extras = [ "model" ];
          cuda = pkgs.${"cudaPackages_" + lib.replaceStrings [ "." ] [ "_" ] llama-cpp.cuda};
          inherit architectures;
        }).overrideAttrs
          (old: {
            passthru = old.passthru // {
              inherit architectures compiledFor;
              # Its release, which a host's driver is checked against.
              inherit (llama-cpp) cuda;
            };
          });
    in
    compiledFor llama-cpp.architectures;
}
