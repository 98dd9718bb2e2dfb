# The node's place in the tailnet: tailscaled, joined by a key file, and the one port that the role has there.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.tailnet;
  inherit (config.bawn) fleet node role;
  hardening = import ./hardening.nix;
  unit = "tailscaled-autoconnect.service";
  port = config.bawn.ports.${toString role} or null;

  # nixpkgs passes the content of this file to `tailscale up --auth-key`, where every user could read it in the list of
  # processes. A reference to the credential is no secret.
  authKeyReference = pkgs.writeText "auth-key-reference" "file:/run/credentials/${unit}/auth-key";
in
{
  imports = [
    ./files.nix
    ./fleet.nix
  ];

  options.bawn.tailnet = {
    enable = mkOption {
      type = types.bool;
      default = role != null && role != "headscale";
      defaultText = lib.literalMD "true for every node of a fleet but the Headscale host";
      example = false;
      description = "Join the fleet's tailnet. Without it, services listen on loopback until their `listenAddress` is set.";
    };
    authKeyFile = mkOption {
      type = types.nullOr (import ./secret-file.nix { inherit lib; });
      default = null;
      example = "/run/secrets/tailnet-auth-key";
      description = ''
        File on the host with the key that lets the node join: a tagged pre-authentication key for servers. Once the node
        has joined its content is not used again and may be emptied; the file must stay. With null, the node is joined
        by hand, with {command}`tailscale up`.
      '';
    };
    interface = mkOption {
      type = types.str;
      default = "tailscale0";
      example = "tailscale0";
      description = "Network interface of the tailnet, on which the role's port is open.";
    };
    addresses = mkOption {
      type = types.listOf types.str;
      default = lib.optionals cfg.enable hardening.tailnet;
      defaultText = lib.literalMD "Tailscale's ranges where {option}`bawn.tailnet.enable` is set, else none";
      example = [ "10.20.0.0/24" ];
      description = "Networks that bawn's services may speak to beside loopback. The kernel drops everything else.";
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = 128;
      example = 192;
      description = "Memory cap of tailscaled, in MiB.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = node != null;
        message = "bawn.tailnet.enable: a host that is no node of the fleet has no tailnet to join: set bawn.node.";
      }
    ];

    bawn.files = lib.mkIf (cfg.authKeyFile != null) { auth-key-reference = authKeyReference; };

    services.tailscale = {
      enable = true;
      interfaceName = cfg.interface;
      # Logs of connections stay here.
      disableUpstreamLogging = true;
      disableTaildrop = true;
      authKeyFile = lib.mkIf (cfg.authKeyFile != null) (toString authKeyReference);
      extraUpFlags = [
        "--hostname=${node}"
      ]
      ++ lib.optional (!fleet.tailnet.managed) "--login-server=${fleet.tailnet.server_url}"
      # Nothing connects to a laptop.
      ++ lib.optional (role == "laptop") "--shields-up";
    };

    systemd.services.tailscaled.serviceConfig.MemoryMax = "${toString cfg.memoryMiB}M";
    systemd.services.tailscaled-autoconnect = lib.mkIf (cfg.authKeyFile != null) {
      # Root without any of root's powers: tailscaled asks who is at the other end of its socket.
      serviceConfig = removeAttrs hardening.sandbox [ "PrivateUsers" ] // {
        LoadCredential = [ "auth-key:${cfg.authKeyFile}" ];
        # It speaks to tailscaled, and tailscaled to the network.
        RestrictAddressFamilies = [ "AF_UNIX" ];
        IPAddressAllow = [ ];
        # systemd-notify is a child of the script, and without privileges can't speak in its name.
        NotifyAccess = "all";
        # Headscale may come up later than this node does.
        Restart = "on-failure";
        RestartSec = "10s";
        TimeoutStartSec = "5min";
      };
      unitConfig.StartLimitIntervalSec = 0;
    };

    # Names of the tailnet go to tailscaled and all others where they went before.
    services.resolved.enable = lib.mkDefault true;

    # Left to itself, tailscaled would guess which of the two firewalls is in use.
    systemd.services.tailscaled.environment.TS_DEBUG_FIREWALL_MODE =
      if config.networking.nftables.enable then "nftables" else "iptables";

    networking.firewall = {
      enable = true;
      interfaces.${cfg.interface}.allowedTCPPorts = lib.optional (port != null) port;
    };
  };
}
