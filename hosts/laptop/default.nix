# A NixOS laptop: the bridge in its user's session. It joins the tailnet by hand: `tailscale up --login-server …`.
{
  imports = [
    ../fleet.nix
    ./hardware.nix
  ];

  bawn.node = "ada-laptop";
}
