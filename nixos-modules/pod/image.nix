# The image of a rented pod: the GPU host's model server with CUDA, and a tailscaled that needs no privileges.
#
# `nix build .#pod-image && ./result | podman load`. What it needs at start is in entrypoint.sh. The driver isn't in it:
# the provider's container runtime brings the host's.
{
  lib,
  bawn,
  coreutils,
  curl,
  dockerTools,
  jq,
  tailscale,
  writeShellApplication,
}:
let
  modelServer = bawn.model-server-cuda;

  # Nobody: no capability, no name on the host, and nothing in the image belongs to it but what is made below.
  user = "65532";

  entrypoint = writeShellApplication {
    name = "bawn-pod";
    runtimeInputs = [
      coreutils
      curl
      jq
      modelServer
      tailscale
    ];
    text = lib.readFile ./entrypoint.sh;
  };
in
dockerTools.streamLayeredImage {
  name = "bawn-pod";
  tag = bawn.bridge.version or "latest";
  # One layer a large store path, so that a new release of ours brings a few megabytes and not CUDA again.
  maxLayers = 100;
  contents = [ dockerTools.caCertificates ];
  fakeRootCommands = ''
    mkdir -p run/bawn run/opengl-driver/lib weights tmp
    chown -R ${user}:${user} run/bawn run/opengl-driver weights
    chmod 0700 run/bawn
    chmod 1777 tmp
  '';
  config = {
    Entrypoint = [ (lib.getExe entrypoint) ];
    User = "${user}:${user}";
    Volumes."/weights" = { };
    Env = [
      "CUDA_CACHE_PATH=/tmp/cuda"
      "HOME=/tmp"
      # What the container runtime is to bring of the host's driver.
      "NVIDIA_DRIVER_CAPABILITIES=compute,utility"
      "NVIDIA_VISIBLE_DEVICES=all"
      "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"
    ];
    Labels."org.opencontainers.image.description" = "bawn's model server for a rented GPU";
  };
  passthru = { inherit entrypoint modelServer; };
}
