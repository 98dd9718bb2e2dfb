# Headscale: the tailnet's own coordination server, with STUN and an embedded relay, so that no third party is needed.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.headscale;
  inherit (config.bawn) fleet;
  hardening = import ./hardening.nix;
  secretFile = import ./secret-file.nix { inherit lib; };

  credentials = "/run/credentials/headscale.service";
  # ":443" is the default port and not part of the name.
  hostname = builtins.head (lib.splitString ":" (lib.removePrefix "https://" fleet.tailnet.server_url));

  # An empty list and not an empty policy: a policy without the key allows everything.
  denyAll = pkgs.writeText "policy.json" (builtins.toJSON { grants = [ ]; });

  ofFleet = "${lib.getExe' config.bawn.package.bridge "bawn"} fleet policy ${config.bawn.fleetFile}";
  rendered = pkgs.runCommand "policy.json" { } ''
    ${ofFleet} --for headscale > $out
  '';
  # A policy that grants more or less than the fleet means doesn't build, whoever wrote it.
  judged =
    if config.bawn.fleetFile == null then
      cfg.policyFile
    else
      pkgs.runCommand "judged-policy.json" { } ''
        ${ofFleet} --check ${cfg.policyFile}
        cp ${cfg.policyFile} $out
      '';

  # Headscale takes at start whatever policy it finds, its failing tests being a warning. So it finds only what has passed.
  policy = pkgs.writeShellApplication {
    name = "bawn-headscale-policy";
    runtimeInputs = [
      cfg.package
      pkgs.coreutils
      pkgs.jq
    ];
    text = ''
      # At `start` nobody serves yet, and the check opens the database itself; at `reload` the server is asked.
      moment=$1
      wanted=/etc/headscale/policy.json
      in_force=/var/lib/headscale/policy.json
      work=$(mktemp -d)
      trap 'rm -r "$work"' EXIT

      check() {
        local directly=()
        if [ "$moment" = start ]; then
          directly=(--bypass-grpc-and-access-database-directly --force)
        fi
        headscale --config ${config.services.headscale.configFile} policy check "''${directly[@]}" --file "$1" >/dev/null 2>"$work/refusal"
      }

      put_in_force() {
        install --mode 0600 "$1" "$in_force.new"
        mv "$in_force.new" "$in_force"
      }

      # A test of somebody who has no node (not joined yet, gone, no user) fails, whatever the policy says. Those are left
      # out as Headscale names them, line by line; what else it says stays a refusal.
      without_the_absent() {
        jq --rawfile refusal "$work/refusal" '
          def said($what): [$refusal | split("\n")[] | capture("^(?<src>\\S+) \\((?<proto>tcp|udp)\\): " + $what + "$")];
          (said("source \".*\" resolved to no IP addresses") +
           said("failed to resolve source \".*\": resolving: user not found: token \".*\"")) as $nobody
          | (said("error testing \"(?<dst>\\S+)\": destination resolved to no IP addresses: \".*\"") +
             said("error testing \"(?<dst>\\S+)\": resolving destination: user not found: token \".*\"")) as $nowhere
          | .tests |= [
              .[]?
              | {src, proto} as $of
              | select([$of] - $nobody != [])
              | [$nowhere[] | select({src, proto} == $of) | .dst] as $absent
              | .accept = (.accept // []) - $absent
              | .deny = (.deny // []) - $absent
              | select(.accept + .deny != [])
            ]
        ' "$wanted"
      }

      install --mode 0600 "$wanted" "$work/policy"
      if ! check "$work/policy"; then
        if ! without_the_absent >"$work/policy" || ! check "$work/policy"; then
          echo "The new policy is refused, and the one before it stays in force:" >&2
          cat "$work/refusal" >&2
          if [ "$moment" != start ]; then
            exit 1
          fi
          if [ ! -e "$in_force" ]; then
            echo "There is none before it: no node reaches another." >&2
            put_in_force ${denyAll}
          fi
          exit 0
        fi
      fi
      put_in_force "$work/policy"
    '';
  };
in
{
  imports = [
    ./files.nix
    ./fleet.nix
    ./health-gate.nix
    ./memory.nix
  ];

  options.bawn.headscale = {
    enable = mkOption {
      type = types.bool;
      default = config.bawn.role == "headscale";
      defaultText = lib.literalExpression ''config.bawn.role == "headscale"'';
      example = true;
      description = "Run Headscale on port 443 (TCP) and its STUN server on port 3478 (UDP).";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.headscale_0_29;
      defaultText = lib.literalExpression "pkgs.headscale_0_29";
      example = lib.literalExpression "pkgs.headscale";
      description = "Headscale of 0.29 or later; the flake's overlay brings it.";
    };
    publicAddresses = {
      ipv4 = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "192.0.2.10";
        description = "Public IPv4 address of this host, at which nodes find the embedded relay. Without it they look it up by name.";
      };
      ipv6 = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "2001:db8::10";
        description = "Public IPv6 address of this host, likewise. Where only one of the two is named, each node that joins looks for the other for three seconds.";
      };
    };
    acmeEmail = mkOption {
      type = types.str;
      default = "";
      example = "ops@example.org";
      description = "Where Let's Encrypt writes before a certificate expires; may be empty. The challenge is answered on port 443 itself.";
    };
    certificateFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/var/lib/certificates/headscale.pem";
      description = "Certificate chain to use in place of one from Let's Encrypt.";
    };
    certificateKeyFile = mkOption {
      type = types.nullOr secretFile;
      default = null;
      example = "/run/secrets/headscale-key";
      description = "Private key of {option}`certificateFile`.";
    };
    policyFile = mkOption {
      type = types.path;
      default = if config.bawn.fleetFile == null then denyAll else rendered;
      defaultText = lib.literalMD "what `bawn fleet policy` renders; without a fleet, no node reaches another";
      example = lib.literalExpression "./policy.json";
      description = ''
        Who reaches whom. One that grants more or less than the fleet means doesn't build, and the build says which
        difference. A changed policy is reloaded, and nodes stay connected. Headscale checks it first: one that it
        refuses, or whose tests fail, fails the reload, and the one before it stays in force, over restarts too.
      '';
    };
    settings = mkOption {
      type = (pkgs.formats.yaml { }).type;
      default = { };
      example.node.expiry = "90d";
      description = "Headscale settings on top of ours.";
    };
    memoryMiB = mkOption {
      type = types.ints.positive;
      default = 384;
      example = 768;
      description = "Memory cap of Headscale, in MiB.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = lib.versionAtLeast cfg.package.version "0.29";
        message = "bawn.headscale.package: is Headscale ${cfg.package.version}; 0.29 is the first that knows grants and policy tests.";
      }
      {
        assertion = (cfg.certificateFile == null) == (cfg.certificateKeyFile == null);
        message = "bawn.headscale.certificateFile and bawn.headscale.certificateKeyFile go together: set both, or none for a certificate from Let's Encrypt.";
      }
      {
        assertion = !fleet.tailnet.managed;
        message = "bawn.headscale.enable: bawn.fleet.tailnet.managed says that Tailscale runs the tailnet. Take out one of the two.";
      }
    ];

    services.headscale = {
      enable = true;
      inherit (cfg) package;
      address = "[::]";
      port = 443;
      settings = lib.mkMerge [
        {
          inherit (fleet.tailnet) server_url;
          # Its own figures and gRPC stay on this host.
          metrics_listen_addr = "127.0.0.1:9090";
          grpc_listen_addr = "127.0.0.1:50443";
          dns = {
            magic_dns = true;
            inherit (fleet.tailnet) base_domain;
            override_local_dns = false;
          };
          derp = {
            # No relays of third parties.
            urls = [ ];
            auto_update_enabled = false;
            server = {
              enabled = true;
              region_id = 999;
              region_code = fleet.name;
              region_name = fleet.name;
              # Only nodes of this tailnet are relayed.
              verify_clients = true;
              stun_listen_addr = "[::]:3478";
              automatically_add_embedded_derp_region = true;
            }
            // lib.filterAttrs (_: address: address != null) cfg.publicAddresses;
          };
          policy = {
            mode = "file";
            # The policy that passed its check last.
            path = "/var/lib/headscale/policy.json";
          };
          logtail.enabled = false;
          # A node that is taken out of the fleet loses what it could reach in less than a second.
          tuning.batch_change_delay = "200ms";
        }
        (lib.mkIf (cfg.certificateFile == null) {
          tls_letsencrypt_hostname = hostname;
          tls_letsencrypt_challenge_type = "TLS-ALPN-01";
          acme_email = cfg.acmeEmail;
        })
        (lib.mkIf (cfg.certificateFile != null) {
          tls_cert_path = "${credentials}/certificate";
          tls_key_path = "${credentials}/certificate-key";
        })
        cfg.settings
      ];
    };

    environment.etc."headscale/policy.json".source = judged;
    # For the operator: `bawn fleet apply` and `bawn fleet join-key` speak to the server of this host.
    environment.etc."bawn/fleet.json" = lib.mkIf (config.bawn.fleetFile != null) {
      source = config.bawn.fleetFile;
    };
    environment.systemPackages = [ config.bawn.package.bridge ];
    bawn.files = {
      bawn-headscale-policy = policy;
      "policy.json" = denyAll;
    };

    systemd.services.headscale = {
      reloadTriggers = [ judged ];
      serviceConfig = {
        ExecStartPre = "${lib.getExe policy} start";
        ExecReload = [
          "${lib.getExe policy} reload"
          "${lib.getExe' pkgs.coreutils "kill"} -HUP $MAINPID"
        ];
        LoadCredential = lib.optionals (cfg.certificateFile != null) [
          "certificate:${cfg.certificateFile}"
          "certificate-key:${toString cfg.certificateKeyFile}"
        ];
        MemoryMax = "${toString cfg.memoryMiB}M";
        LimitCORE = 0;
        inherit (hardening.sandbox) MemoryDenyWriteExecute SystemCallErrorNumber;
      };
    };

    networking.firewall = {
      enable = true;
      allowedTCPPorts = [ 443 ];
      allowedUDPPorts = [ 3478 ];
    };

    bawn.healthGate.checks.headscale = lib.mkDefault {
      url = "https://${hostname}/health";
      # Asked on this host, under its public name: what the world's DNS says is not this generation's doing.
      resolve = "${hostname}:443:127.0.0.1";
    };
  };
}
