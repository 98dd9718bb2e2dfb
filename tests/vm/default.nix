# VM tests of the example hosts, for machines with KVM: `nix build .#checks.x86_64-linux.vm-tailnet`.
#
# What the machines do and must show is in ../scenarios, in Python that runs on other machines with the test driver's
# interface as well; a file here says only which hosts there are.
{
  lib,
  pkgs,
  self,
}:
let
  test =
    name:
    pkgs.testers.runNixOSTest {
      imports = [ (./. + "/${name}.nix") ];
      name = "bawn-${name}";
      _module.args = {
        inherit self;
        # The scenario's text, and then one call of its `run`.
        scenario =
          call: lib.readFile (../scenarios + "/${lib.replaceStrings [ "-" ] [ "_" ] name}.py") + "\n\n${call}\n";
      };
      # Scenarios are plain functions of machines: there is nothing for a type checker to know.
      skipTypeCheck = true;
      defaults = ./host.nix;
    };
in
lib.genAttrs [
  "bridge"
  "gateway"
  "health-gate"
  "model-server"
  "tailnet"
  "upgrade"
] test
