# The gateway host: a VPS of 2 GiB, on which gateway, indexer, Meilisearch and SearXNG fit by their memory caps.
{
  imports = [
    ../fleet.nix
    ./hardware.nix
    # ./sops.nix
  ];

  bawn = {
    node = "gateway";
    search.enable = true;
    webSearch.enable = true;

    # Files on the host, put there once (README) or by sops-nix (./sops.nix).
    tailnet.authKeyFile = "/var/lib/bawn-secrets/tailnet-auth-key";
    gateway.upstreamTokenFiles.gpu = "/var/lib/bawn-secrets/token-gpu";
    search.masterKeyFile = "/var/lib/bawn-secrets/meilisearch-master-key";
  };
}
