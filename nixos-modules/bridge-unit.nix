# The bridge's unit in a user's session, for NixOS and home-manager alike. Not a module.
#
# A user's systemd has no privileges to lend: what needs mounts of its own (ProtectSystem, PrivateTmp, …) would cost a
# user namespace, in which the key file in the home could not be read on every distribution. What seccomp and prctl can
# do works everywhere.
{
  Type = "notify";
  NotifyAccess = "main";
  WatchdogSec = "30s";
  Restart = "always";
  RestartSec = "5s";
  TimeoutStopSec = "20s";
  LimitCORE = 0;
  MemoryMax = "256M";
  UMask = "0077";
  NoNewPrivileges = true;
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  RestrictNamespaces = true;
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  RestrictAddressFamilies = [
    "AF_UNIX"
    "AF_INET"
    "AF_INET6"
  ];
  SystemCallArchitectures = "native";
  SystemCallFilter = [
    "@system-service"
    "~@privileged @resources"
  ];
  SystemCallErrorNumber = "EPERM";
}
