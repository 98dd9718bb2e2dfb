# A gateway that becomes another generation under load.
{ self, scenario, ... }:
let
  host = name: {
    imports = [
      self.nixosModules.default
      (../../hosts + "/${name}")
      ./wired.nix
    ];
    virtualisation.memorySize = if name == "gpu" then 3072 else 2048;
  };
in
{
  nodes = {
    gateway =
      { pkgs, ... }:
      {
        imports = [ (host "gateway") ];
        specialisation.next.configuration.bawn.gateway.settings.max_in_flight = 63;
        # The test's own, to make a repository.
        environment.systemPackages = [ pkgs.git ];
      };
    gpu = host "gpu";
    laptop = host "laptop";
  };

  testScript = scenario "start_all()\nrun(gateway, gpu, laptop)";
}
