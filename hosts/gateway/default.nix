# The gateway host: a VPS of 2 GiB, on which gateway, indexer and SearXNG, and Meilisearch too, fit by their memory caps.
{
  imports = [
    ../fleet.nix
    ./hardware.nix
    # ./sops.nix
  ];

  bawn = {
    node = "gateway";

    # SSH comes over the tailnet. For the first boot, until this host has joined, there is no other way in than this.
    # ssh.public = true;
    webSearch.enable = true;

    # The index in Meilisearch, in place of the embedded one ("Meilisearch" in bawn's docs/operations.md).
    # search.enable = true;
    search.masterKeyFile = "/var/lib/bawn-secrets/meilisearch-master-key";

    # Files on the host, put there once ("The first installation" in bawn's docs/operations.md) or by sops-nix (./sops.nix).
    tailnet.authKeyFile = "/var/lib/bawn-secrets/tailnet-auth-key";
    gateway.upstreamTokenFiles.gpu = "/var/lib/bawn-secrets/token-gpu";
  };
}
