# The GPU host: one model on one NVIDIA card, reached by the gateway alone.
{
  imports = [
    ../fleet.nix
    ./hardware.nix
    # ./sops.nix
  ];

  bawn = {
    node = "gpu";

    # Files on the host, put there once (README) or by sops-nix (./sops.nix).
    tailnet.authKeyFile = "/var/lib/bawn-secrets/tailnet-auth-key";
    modelServer.tokenFile = "/var/lib/bawn-secrets/token";
  };
}
