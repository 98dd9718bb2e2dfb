# Secrets by sops-nix in place of files that are put on the host by hand. Optional: it needs the input
# `sops-nix.url = "github:Mic92/sops-nix"` and its `nixosModules.sops` among the host's modules, then uncomment the import in
# default.nix. Make the file with `sops hosts/gateway/secrets.yaml`.
{ config, lib, ... }:
{
  sops.defaultSopsFile = ./secrets.yaml;
  # The host's own SSH key decrypts, so that there is no further key to bring.
  sops.age.sshKeyPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
  sops.secrets = {
    tailnet-auth-key = { };
    token-gpu = { };
    meilisearch-master-key = { };
  };

  bawn = {
    tailnet.authKeyFile = lib.mkForce config.sops.secrets.tailnet-auth-key.path;
    gateway.upstreamTokenFiles.gpu = lib.mkForce config.sops.secrets.token-gpu.path;
    search.masterKeyFile = lib.mkForce config.sops.secrets.meilisearch-master-key.path;
  };
}
