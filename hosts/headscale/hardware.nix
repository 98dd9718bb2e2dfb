# A virtual machine with a BIOS and one virtio disk, as most providers rent it. Replace it by what
# `nixos-generate-config --show-hardware-config` writes on your machine.
{ lib, modulesPath, ... }:
{
  imports = [ (modulesPath + "/profiles/qemu-guest.nix") ];

  nixpkgs.hostPlatform = "x86_64-linux";

  # Weak, so that a disk image (`system.build.images`) can bring its own.
  boot.loader.grub.devices = lib.mkOverride 1400 [ "/dev/vda" ];
  fileSystems."/" = lib.mkDefault {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
    autoResize = true;
  };
  boot.growPartition = lib.mkDefault true;

  # Your public key, or there is no way in.
  users.users.root.openssh.authorizedKeys.keys = [ ];

  # The release that this host was installed with; it stays when nixpkgs moves on.
  system.stateVersion = "26.05";
}
