# The operators' way in: keys only, over the tailnet, and only where the fleet names an operator.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.ssh;
  operators = lib.any (person: person.ssh) (lib.attrValues config.bawn.fleet.people);
  server = lib.elem config.bawn.role [
    "headscale"
    "gateway"
    "gpu"
  ];
in
{
  imports = [
    ./fleet.nix
    ./tailnet.nix
  ];

  options.bawn.ssh = {
    enable = mkOption {
      type = types.bool;
      default = server;
      defaultText = lib.literalMD "true on Headscale, gateway and GPU hosts";
      example = false;
      description = "Run sshd, for keys only. Whose keys: {option}`users.users.<name>.openssh.authorizedKeys`.";
    };
    public = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Open port 22 on every network. Needed where a host is reached before or without the tailnet: the Headscale host,
        and any host until it has joined.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    services.openssh = {
      enable = true;
      openFirewall = cfg.public;
      settings = {
        PasswordAuthentication = false;
        KbdInteractiveAuthentication = false;
        PermitRootLogin = "prohibit-password";
        X11Forwarding = false;
      };
    };
    networking.firewall.interfaces.${config.bawn.tailnet.interface}.allowedTCPPorts =
      lib.optional (config.bawn.tailnet.enable && operators) 22;
  };
}
