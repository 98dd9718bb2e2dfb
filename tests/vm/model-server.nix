# The GPU host without a card: one model server on the CPU.
{ self, scenario, ... }:
{
  nodes.gpu = {
    imports = [
      self.nixosModules.default
      ../../hosts/gpu
      ./wired.nix
    ];
    bawn.modelServer.listenAddress = "127.0.0.1";
    virtualisation = {
      memorySize = 3072;
      cores = 2;
    };
  };

  testScript = scenario ''run(gpu, "token-of-the-test")'';
}
