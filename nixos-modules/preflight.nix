# Whether GPU, driver and plan fit together, asked before each start of the model server: one sentence for each failure.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.bawn.preflight;
  inherit (config.bawn) nvidia self;
  hardening = import ./hardening.nix;
  library = config.hardware.nvidia.package.version;

  planned = config.bawn.weights.neededMiB;
  promised = if self == null || self.vram_mib == null then 0 else self.vram_mib;

  check = pkgs.writeShellApplication {
    name = "bawn-gpu-preflight";
    runtimeInputs = [
      config.hardware.nvidia.package.bin
      pkgs.coreutils
      pkgs.gnugrep
      pkgs.gnused
    ];
    text = ''
      refuse() {
        echo "bawn-gpu-preflight: $*" >&2
        exit 1
      }

      # Code for 80 runs on 8.0 and later 8.x; code for 120a on 12.0 alone.
      covers() {
        local architecture
        for architecture in ${lib.concatStringsSep " " nvidia.architectures}; do
          case $architecture in
            *a) [ "$1" != "''${architecture%a}" ] || return 0 ;;
            *) [ "''${1%?}" != "''${architecture%?}" ] || [ "$1" -lt "$architecture" ] || return 0 ;;
          esac
        done
        return 1
      }

      [ -r /proc/driver/nvidia/version ] ||
        refuse "The NVIDIA kernel module isn't loaded: see \`journalctl -k -g nvidia\`; is there an NVIDIA GPU of the Ampere generation or later in this host?"

      # "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.173.02  Release Build …"
      loaded=$(grep -m 1 '^NVRM version:' /proc/driver/nvidia/version | grep -o -E -m 1 '[0-9]{3}\.[0-9]+(\.[0-9]+)?' | head -n 1)
      [ "$loaded" = "${library}" ] ||
        refuse "The loaded kernel module is of driver $loaded and the libraries are of ${library}: reboot, so that both come from this generation."

      oldest=$(printf '%s\n' "$loaded" "${nvidia.minimumDriver}" | sort --version-sort | head -n 1)
      [ "$oldest" = "${nvidia.minimumDriver}" ] ||
        refuse "Driver $loaded is older than ${nvidia.minimumDriver}, which CUDA ${nvidia.cuda} needs."

      for device in /dev/nvidiactl /dev/nvidia-uvm /dev/nvidia0; do
        [ -c "$device" ] || refuse "The device $device is missing: \`modprobe nvidia-uvm\` and \`systemctl status nvidia-persistenced\` tell why."
      done

      if ! answer=$(nvidia-smi --query-gpu=name,compute_cap,memory.total,memory.free --format=csv,noheader,nounits 2>&1); then
        refuse "nvidia-smi doesn't reach the GPU: $(head -n 1 <<< "$answer")"
      fi

      total=0 free=0
      while IFS=, read -r name capability here unused; do
        capability=''${capability//[ .]/}
        covers "$capability" ||
          refuse "$name has compute capability $capability, and the model server holds no code for it (it has ${lib.concatStringsSep ", " nvidia.architectures}): add it to bawn.nvidia.architectures."
        total=$((total + here)) free=$((free + unused))
      done <<< "$answer"

      # Boards reserve a few per cent of what is printed on them.
      [ $((total * 100)) -ge ${toString (promised * 95)} ] ||
        refuse "The GPU has $total MiB, but bawn.fleet.nodes.${toString config.bawn.node}.vram_mib says ${toString promised}."
      [ "$free" -ge ${toString planned} ] ||
        refuse "Only $free of $total MiB are free on the GPU, and the plan needs ${toString planned} (weights and KV cache): \`nvidia-smi\` shows who holds the rest."

      # The model server's own libraries: whether layers can go to the GPU, and a tiny product on each card, whose result
      # is known. It says itself what is wrong.
      ${lib.getExe' config.bawn.package.model-server-cuda "bawn"} gpu-check || exit 1

      echo "bawn-gpu-preflight: driver $loaded, $free of $total MiB free, ${toString planned} planned."
    '';
  };
in
{
  imports = [
    ./files.nix
    ./fleet.nix
    ./nvidia.nix
    ./packages.nix
    ./weights.nix
  ];

  options.bawn.preflight.enable = lib.mkOption {
    type = lib.types.bool;
    default = false;
    example = true;
    description = ''
      The model server switches this on where it runs on an NVIDIA GPU. Check driver, devices, architecture and free
      memory of the GPU, and compute something on it, before each start of the model server, which is not started where
      something doesn't fit: llama.cpp would run on the CPU in silence.
    '';
  };

  config = lib.mkIf cfg.enable {
    bawn.files.bawn-gpu-preflight = check;

    systemd.services.bawn-gpu-preflight = {
      description = "Check of GPU and driver for bawn's model server";
      before = [ "bawn-model-server.service" ];
      requiredBy = [ "bawn-model-server.service" ];
      after = [
        "systemd-modules-load.service"
        "nvidia-persistenced.service"
      ];
      # Not RemainAfterExit: each start of the model server asks anew. When it has failed and succeeds later, the model
      # server, whose start failed with it, is started again.
      unitConfig = {
        OnSuccess = "bawn-model-server.service";
        StartLimitIntervalSec = 0;
      };
      serviceConfig =
        hardening.oneshot
        // hardening.offline
        // hardening.gpu
        // {
          ExecStart = lib.getExe check;
          DynamicUser = true;
          Restart = "on-failure";
          RestartSec = "30s";
          # The check on the GPU gives up after two minutes itself.
          TimeoutStartSec = "3min";
          # Two Pythons of 100 MiB, a CUDA context of some 300 MiB a card, and the pages of cuBLAS (570 MiB) and of the
          # kernels that loading them touches, which count here when nobody else has them in memory.
          MemoryMax = "2G";
        };
      # Nothing is compiled at run time, so there is nothing to keep; and there is no home to keep it in.
      environment.CUDA_CACHE_DISABLE = "1";
    };
  };
}
