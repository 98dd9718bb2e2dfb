# Memory caps that add up: a host is refused when what its units may take together is more than it has.
#
# Every unit with a cap is counted, also those that never run at the same time. Three of the gateway host's have none and
# live from what is kept for the system. searx-init and tailscaled-autoconnect end before SearXNG and the gateway start,
# which wait for them and take nothing of their own caps until then; bawn-leave-generation does what `nixos-rebuild switch`
# does in an operator's session, and must not be killed half-way. tests/nix/test_units.py knows these three and no other.
{
  config,
  lib,
  ...
}:
let
  cfg = config.bawn.memory;

  # systemd's sizes: bytes, a number with K, M, G, T (base 1024), or per cent of the host's memory; `infinity` is no cap.
  factor = {
    "" = 1.0 / (1024 * 1024);
    K = 1.0 / 1024;
    M = 1.0;
    G = 1024.0;
    T = 1024.0 * 1024;
    "%" = cfg.sizeMiB / 100.0;
  };
  toMiB =
    size:
    let
      parts = builtins.match "([0-9]+(\\.[0-9]+)?)([KMGT%]?)" (toString size);
      suffix = builtins.elemAt parts 2;
    in
    if parts == null || (suffix == "%" && cfg.sizeMiB == null) then
      null
    else
      builtins.ceil (builtins.fromJSON (builtins.head parts) * factor.${suffix});

  caps = lib.filterAttrs (_: mib: mib != null) (
    lib.mapAttrs' (
      name: service: lib.nameValuePair "${name}.service" (toMiB (service.serviceConfig.MemoryMax or "none"))
    ) (lib.filterAttrs (_: service: service.enable) config.systemd.services)
  );

  total = lib.foldl' builtins.add 0 (lib.attrValues caps);
  listed = lib.concatStringsSep ", " (lib.mapAttrsToList (name: mib: "${name} ${toString mib}") caps);
in
{
  imports = [ ./fleet.nix ];

  options.bawn.memory = {
    sizeMiB = lib.mkOption {
      type = lib.types.nullOr lib.types.ints.positive;
      default = if config.bawn.self == null then null else config.bawn.self.memory_mib;
      defaultText = lib.literalExpression "config.bawn.fleet.nodes.\${config.bawn.node}.memory_mib";
      example = 2048;
      description = ''
        Memory of this host in MiB. Where it is known, a configuration whose units may take more than it together is
        refused.
      '';
    };
    systemMiB = lib.mkOption {
      type = lib.types.ints.positive;
      default = 384;
      example = 512;
      description = "MiB that are kept for the kernel, systemd, the journal, sshd and other units without a cap.";
    };
    caps = lib.mkOption {
      type = lib.types.attrsOf lib.types.ints.positive;
      default = caps;
      defaultText = lib.literalMD "`MemoryMax` of every service that has one";
      readOnly = true;
      description = "Memory cap of each unit in MiB, computed.";
    };
    totalMiB = lib.mkOption {
      type = lib.types.ints.unsigned;
      default = total;
      defaultText = lib.literalMD "the sum of {option}`bawn.memory.caps`";
      readOnly = true;
      description = "What all units with a cap may take together, in MiB, computed.";
    };
  };

  config.assertions = [
    {
      assertion = cfg.sizeMiB == null || total + cfg.systemMiB <= cfg.sizeMiB;
      message =
        "bawn.fleet.nodes.${toString config.bawn.node}.memory_mib: the host has ${toString cfg.sizeMiB} MiB, but its "
        + "units may take ${toString total} MiB (${listed}) and ${toString cfg.systemMiB} MiB are kept for the system "
        + "(bawn.memory.systemMiB). Lower a cap, or take a larger host.";
    }
  ];
}
