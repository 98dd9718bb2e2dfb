# A machine on the test's own network in the tailnet's place: for tests that are not about the tailnet.
{
  config,
  lib,
  nodes,
  ...
}:
let
  address = config.networking.primaryIPAddress;
  inherit (config.bawn) fleet role;
  ports = lib.optional (config.bawn.ports ? ${toString role}) config.bawn.ports.${toString role};
in
{
  bawn = {
    tailnet.enable = lib.mkForce false;
    tailnet.addresses = lib.mkForce [ "192.168.1.0/24" ];
    gateway.listenAddress = lib.mkDefault address;
    modelServer.listenAddress = lib.mkDefault address;
  };
  networking.firewall.interfaces.eth1.allowedTCPPorts = ports;
  # In MagicDNS's place.
  networking.hosts = lib.mapAttrs' (
    node: machine:
    lib.nameValuePair machine.networking.primaryIPAddress [ "${machine.bawn.node}.${fleet.tailnet.base_domain}" ]
  ) (lib.filterAttrs (_: machine: machine.bawn.node != null) nodes);

  # A token that every machine knows, since no operator is there to bring it.
  systemd.tmpfiles.rules = [
    "d /var/lib/bawn-secrets 0700 root root -"
    "f /var/lib/bawn-secrets/token 0600 root root - token-of-the-test"
    "f /var/lib/bawn-secrets/token-gpu 0600 root root - token-of-the-test"
    "f /var/lib/bawn-secrets/meilisearch-master-key 0600 root root - master-key-of-the-test"
  ];
}
