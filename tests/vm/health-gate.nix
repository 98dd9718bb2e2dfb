# A model server's host with a generation that can't serve, and one that can.
{ self, scenario, ... }:
{
  nodes.gpu = {
    imports = [
      self.nixosModules.default
      ../../hosts/gpu
      ./wired.nix
    ];
    bawn.healthGate.timeoutSeconds = 60;
    specialisation = {
      broken.configuration.bawn.modelServer.settings.model = "/var/lib/bawn-weights/missing.gguf";
      other.configuration.bawn.modelServer.settings.n_batch = 256;
    };
    virtualisation = {
      memorySize = 3072;
      cores = 2;
    };
  };

  testScript = scenario "run(gpu)";
}
