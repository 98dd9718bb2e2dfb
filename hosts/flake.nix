# The start for a new team, as `nix flake init -t github:bawn/bawn` copies it: this file, fleet.nix and the four hosts.
# In bawn's own repository the hosts are built by the flake above this folder.
{
  description = "Our team's coding assistant";

  inputs = {
    bawn.url = "github:bawn/bawn";
    # The very nixpkgs that bawn is tested with: kernel, driver and CUDA move together, or not at all.
    nixpkgs.follows = "bawn/nixpkgs";
  };

  outputs =
    { nixpkgs, bawn, ... }:
    let
      host =
        folder:
        nixpkgs.lib.nixosSystem {
          modules = [
            bawn.nixosModules.default
            { nixpkgs.overlays = [ bawn.overlays.default ]; }
            folder
          ];
        };
    in
    {
      nixosConfigurations = {
        headscale = host ./headscale;
        gateway = host ./gateway;
        gpu = host ./gpu;
        laptop = host ./laptop;
      };

      # For laptops that don't run NixOS: home-manager, or `nix profile install .#bridge`.
      inherit (bawn) packages apps;
    };
}
