# Every module of bawn. Importing all of them switches nothing on: what a host runs follows from its role in the fleet.
{
  imports = [
    ./bridge.nix
    ./embedder.nix
    ./fetch.nix
    ./files.nix
    ./fleet.nix
    ./gateway.nix
    ./headscale.nix
    ./health-gate.nix
    ./indexer.nix
    ./memory.nix
    ./model-server.nix
    ./monitoring.nix
    ./nvidia.nix
    ./packages.nix
    ./preflight.nix
    ./search-keys.nix
    ./search.nix
    ./ssh.nix
    ./tailnet.nix
    ./web-search.nix
    ./weights.nix
  ];
}
