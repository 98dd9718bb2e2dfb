# What every unit of ours starts from. Not a module: `let hardening = import ./hardening.nix;`, then
# `serviceConfig = hardening.service // { … }`, where each thing that is taken back has its reason beside it.
rec {
  # Addresses of the tailnet: what Tailscale and Headscale give to nodes, and no public network uses.
  tailnet = [
    "100.64.0.0/10"
    "fd7a:115c:a1e0::/48"
  ];

  # For anything that runs.
  sandbox = {
    # Files: the whole system is read-only, homes aren't there, and what is made belongs to the service alone.
    ProtectSystem = "strict";
    ProtectHome = true;
    PrivateTmp = true;
    PrivateDevices = true;
    UMask = "0077";
    RemoveIPC = true;

    # Privileges: none, and no way to gain any.
    NoNewPrivileges = true;
    CapabilityBoundingSet = "";
    AmbientCapabilities = "";
    RestrictSUIDSGID = true;
    PrivateUsers = true;

    # Kernel: nothing to read or change.
    ProtectKernelTunables = true;
    ProtectKernelModules = true;
    ProtectKernelLogs = true;
    ProtectControlGroups = true;
    ProtectClock = true;
    ProtectHostname = true;
    ProtectProc = "invisible";
    ProcSubset = "pid";
    RestrictNamespaces = true;
    RestrictRealtime = true;
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
    ];
    # A library that tries something and can do without gets an error; it isn't killed.
    SystemCallErrorNumber = "EPERM";

    # Network: nothing but this machine, until a unit says what it needs.
    RestrictAddressFamilies = [
      "AF_UNIX"
      "AF_INET"
      "AF_INET6"
    ];
    IPAddressDeny = "any";
    IPAddressAllow = [ "localhost" ];
  };

  # For what runs all the time and speaks sd_notify: READY when requests are answered, WATCHDOG while the loop turns.
  service = sandbox // {
    Type = "notify";
    NotifyAccess = "main";
    WatchdogSec = "30s";
    Restart = "always";
    RestartSec = "5s";
    # Core dumps would hold prompts.
    LimitCORE = 0;
  };

  # For what runs once and ends.
  oneshot = sandbox // {
    Type = "oneshot";
    LimitCORE = 0;
  };

  # For what needs no network at all.
  offline = {
    PrivateNetwork = true;
    RestrictAddressFamilies = [ "AF_UNIX" ];
    IPAddressAllow = [ ];
  };

  # For what uses an NVIDIA GPU.
  gpu = {
    # The devices are the point; all others stay closed.
    PrivateDevices = false;
    DevicePolicy = "closed";
    DeviceAllow = [
      "char-nvidia* rw"
      "/dev/nvidiactl rw"
      "/dev/nvidia-uvm rw"
      "/dev/nvidia-uvm-tools rw"
    ];
    # The driver's libraries read /proc/driver/nvidia and /proc/devices.
    ProcSubset = "all";
    # They compile kernels at run time.
    MemoryDenyWriteExecute = false;
    # They bind memory and threads to the GPU's NUMA node.
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
    ];
  };
}
