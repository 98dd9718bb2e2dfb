# Writes a settings file whose `host` is this node's tailnet address, which is known only when the node has joined.
# Not a module: `listen = import ./tailnet-address.nix { inherit lib pkgs config; } { name, settings };` is the script.
{
  config,
  lib,
  pkgs,
}:
{
  # Name of the service's runtime folder, and of the file in it.
  name,
  settings,
}:
pkgs.writeShellApplication {
  name = "bawn-listen-on-tailnet";
  runtimeInputs = [
    config.services.tailscale.package
    pkgs.coreutils
    pkgs.jq
  ];
  text = ''
    # The service's start timeout ends the wait.
    told=
    until address=$(tailscale ip -4 2>/dev/null) && [ -n "$address" ]; do
      if [ -z "$told" ]; then
        echo "Waiting for the tailnet address of this node (\`tailscale status\` says what is missing)."
        told=yes
      fi
      sleep 1
    done
    jq --arg host "$address" '.host = $host' ${settings} > "$RUNTIME_DIRECTORY/${name}.json"
  '';
}
