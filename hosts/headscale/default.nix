# The tailnet's coordination server: the one host that the internet sees.
{
  imports = [
    ../fleet.nix
    ./hardware.nix
  ];

  bawn.node = "headscale";

  # It is reached before there is a tailnet, and when there is none.
  bawn.ssh.public = true;
}
