# The GPU host: one model on one NVIDIA card, reached by the gateway alone.
{
  imports = [
    ../fleet.nix
    ./hardware.nix
    # ./sops.nix
  ];

  bawn = {
    node = "gpu";

    # SSH comes over the tailnet. For the first boot, until this host has joined, there is no other way in than this.
    # ssh.public = true;

    # Files on the host, put there once ("The first installation" in bawn's docs/operations.md) or by sops-nix (./sops.nix).
    tailnet.authKeyFile = "/var/lib/bawn-secrets/tailnet-auth-key";
    modelServer.tokenFile = "/var/lib/bawn-secrets/token";
  };
}
