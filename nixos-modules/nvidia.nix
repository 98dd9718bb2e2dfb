# Kernel, driver, CUDA and architectures of a GPU host, pinned together.
#
# Each of them can be updated alone, and then inference fails at the next boot or, worse, falls back to the CPU in
# silence. So they are one set: the CUDA release and the architectures are those that the model server is compiled for
# (python/llama-cpp.json has the defaults); the driver is of NVIDIA's long-term branch 580 (maintained until August 2028), which runs CUDA
# 12.9 and 13.0; the kernel is a long-term series that the branch's open module is built for.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.nvidia;
  compiled = lib.importJSON ../python/llama-cpp.json;

  # The oldest Linux driver of each release: CUDA release notes, "CUDA Toolkit and Corresponding Driver Versions".
  minimumDrivers = {
    "12.4" = "550.54.14";
    "12.5" = "555.42.02";
    "12.6" = "560.28.03";
    "12.8" = "570.26";
    "12.9" = "575.51.03";
    "13.0" = "580.65.06";
  };

  driver = config.hardware.nvidia.package.version;
  # A package that doesn't tell is of the release that the option says.
  builtWith = config.bawn.package.model-server-cuda.cuda or cfg.cuda;
in
{
  imports = [
    ./fleet.nix
    ./packages.nix
  ];

  options.bawn.nvidia = {
    enable = mkOption {
      type = types.bool;
      default = config.bawn.role == "gpu";
      defaultText = lib.literalExpression ''config.bawn.role == "gpu"'';
      example = false;
      description = "Set up kernel, NVIDIA driver and CUDA libraries. Without it a GPU host's model server runs on the CPU.";
    };
    kernel = mkOption {
      type = types.str;
      default = "6.18";
      example = "6.12";
      description = "Kernel series, a long-term one.";
    };
    driverBranch = mkOption {
      type = types.str;
      default = "legacy_580";
      example = "production";
      description = "Branch of the driver: an attribute of nixpkgs' `nvidiaPackages`.";
    };
    cuda = mkOption {
      type = types.enum (lib.attrNames minimumDrivers);
      default = compiled.cuda;
      defaultText = lib.literalMD "the release in `python/llama-cpp.json`";
      example = "12.9";
      description = "CUDA release that the model server is compiled with. It comes with {option}`bawn.package.model-server-cuda`, whose `cuda` must be the same; this option tells what the driver is checked against, and is set where that package is one of your own.";
    };
    architectures = mkOption {
      type = types.listOf types.str;
      default = compiled.architectures;
      defaultText = lib.literalMD "the architectures in `python/llama-cpp.json`";
      example = [ "90" ];
      description = ''
        GPU architectures that the model server is compiled for, as compute capabilities without their dot: `80` for
        A100, RTX 30 and A40, `89` for RTX 40, L4 and L40, `90` for H100 and H200, `120a` for RTX 50. Such code runs on
        cards of the same major version and the same or a later minor one; with an `a` after it, on exactly this
        capability. A card that none covers is refused before the model server starts.
      '';
    };
    minimumDriver = mkOption {
      type = types.str;
      readOnly = true;
      default = minimumDrivers.${cfg.cuda};
      defaultText = lib.literalMD "by {option}`bawn.nvidia.cuda`";
      description = "The oldest driver that runs the CUDA release.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = lib.versionAtLeast driver cfg.minimumDriver;
        message = "bawn.nvidia.driverBranch: ${cfg.driverBranch} is driver ${driver}, but CUDA ${cfg.cuda} needs ${cfg.minimumDriver} or later; with it the model server would run on the CPU in silence.";
      }
      {
        assertion = builtWith == cfg.cuda;
        message = "bawn.nvidia.cuda: is ${cfg.cuda}, but bawn.package.model-server-cuda is compiled with CUDA ${builtWith}, which would need another driver: set both, or neither.";
      }
      {
        assertion = lib.versions.majorMinor config.boot.kernelPackages.kernel.version == cfg.kernel;
        message = "boot.kernelPackages: is Linux ${config.boot.kernelPackages.kernel.version}, but bawn.nvidia.kernel pins the series ${cfg.kernel} together with the driver; change that option.";
      }
    ];

    boot.kernelPackages = lib.mkDefault pkgs."linuxPackages_${lib.replaceStrings [ "." ] [ "_" ] cfg.kernel}";

    hardware.nvidia = {
      branch = cfg.driverBranch;
      # The module of the data centre, and the only one for GPUs from Blackwell on.
      open = true;
      # Without a screen the driver would let the GPU go, and its device nodes with it, whenever nobody uses it.
      nvidiaPersistenced = true;
      nvidiaSettings = false;
      modesetting.enable = false;
    };
    # How nixpkgs is told to build the driver; no X server follows from it.
    services.xserver.videoDrivers = [ "nvidia" ];
    # libcuda in /run/opengl-driver/lib, where the model server looks for it.
    hardware.graphics.enable = true;

    # The driver and CUDA are the only things that are not free.
    nixpkgs.config.allowUnfreePredicate =
      package:
      pkgs._cuda.lib.allowUnfreeCudaPredicate package
      || lib.elem (lib.getName package) [
        "nvidia-x11"
        "nvidia-persistenced"
      ];
  };
}
