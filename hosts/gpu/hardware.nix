# A PC with UEFI, an NVMe disk and an NVIDIA card. Replace it by what `nixos-generate-config --show-hardware-config`
# writes on your machine.
{ lib, ... }:
{
  nixpkgs.hostPlatform = "x86_64-linux";

  boot.loader.systemd-boot.enable = lib.mkDefault true;
  boot.loader.efi.canTouchEfiVariables = lib.mkDefault true;
  boot.initrd.availableKernelModules = [
    "nvme"
    "xhci_pci"
    "ahci"
    "usbhid"
    "sd_mod"
  ];
  hardware.enableRedistributableFirmware = true;

  # Weak, so that a disk image (`system.build.images`) can bring its own.
  fileSystems."/" = lib.mkDefault {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  fileSystems."/boot" = lib.mkDefault {
    device = "/dev/disk/by-label/ESP";
    fsType = "vfat";
    options = [ "umask=0077" ];
  };

  # Your public key, or there is no way in.
  users.users.root.openssh.authorizedKeys.keys = [ ];

  # The release that this host was installed with; it stays when nixpkgs moves on.
  system.stateVersion = "26.05";
}
