# A laptop's bridge, with the chain behind it.
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
    gateway = host "gateway";
    gpu = host "gpu";
    laptop = host "laptop";
  };

  testScript = scenario "start_all()\nrun(gateway, gpu, laptop)";
}
