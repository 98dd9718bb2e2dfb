# The gateway host as it is rented: 2 GiB and one CPU, with everything that it may run.
{ self, scenario, ... }:
{
  nodes.gateway =
    { pkgs, ... }:
    {
      imports = [
        self.nixosModules.default
        ../../hosts/gateway
        ./wired.nix
      ];
      bawn.gateway.listenAddress = "127.0.0.1";
      bawn.search.enable = true;
      # No GPU host is in this test, so that no generation could be ready.
      bawn.healthGate.enable = false;
      # The test's own, to make a repository.
      environment.systemPackages = [ pkgs.git ];
      virtualisation = {
        memorySize = 2048;
        cores = 1;
      };
    };

  testScript = scenario "run(gateway)";
}
