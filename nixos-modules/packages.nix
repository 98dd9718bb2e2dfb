# Which packages the services run; the flake's overlay brings the defaults.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  package =
    role: what:
    lib.mkOption {
      type = lib.types.package;
      default = pkgs.bawn.${role};
      defaultText = lib.literalExpression "pkgs.bawn.${role}";
      example = lib.literalExpression "inputs.bawn.packages.\${system}.${role}";
      description = "Package with `bin/bawn` that ${what}.";
    };
in
{
  options.bawn.package = {
    bridge = package "bridge" "runs the bridge, and renders settings from the fleet at build time";
    gateway = package "gateway" "runs the gateway and `bawn-keys`";
    indexer = package "indexer" "runs the indexer";
    model-server = package "model-server" "runs the model server on hosts without an NVIDIA GPU";
    model-server-cuda = package "model-server-cuda" "runs the model server on hosts where {option}`bawn.nvidia.enable` is set, compiled for {option}`bawn.nvidia.architectures`" // {
      default = pkgs.bawn.model-server-cuda.compiledFor config.bawn.nvidia.architectures;
      defaultText = lib.literalExpression "pkgs.bawn.model-server-cuda.compiledFor config.bawn.nvidia.architectures";
    };
  };
}
