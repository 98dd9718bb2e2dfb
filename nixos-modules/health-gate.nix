# After each switch and boot: is this host ready? A generation that isn't in time is left for the last one that was.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.bawn.healthGate;
  hardening = import ./hardening.nix;

  # The last generation that was ready; as a garbage collector root it can't be deleted.
  good = "/nix/var/nix/gcroots/bawn-good-generation";
  units = [
    "bawn-gateway"
    "bawn-gpu-preflight"
    "bawn-model-server"
    "headscale"
    "tailscaled-autoconnect"
  ];

  gate = pkgs.writeShellApplication {
    name = "bawn-health-gate";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.curl
    ]
    ++ lib.optional config.services.tailscale.enable config.services.tailscale.package;
    text = ''
      deadline=$((SECONDS + ${toString cfg.timeoutSeconds}))

      # One request, with the bearer token in the credential $1 unless that is empty; $asked and $reason say what is wrong.
      ask() {
        local token=$1 address header="" answer
        asked=$2
        shift 2
        if [[ $asked == *@tailnet@* ]]; then
          if ! address=$(tailscale ip -4 2>/dev/null) || [ -z "$address" ]; then
            reason="the node has no tailnet address"
            return 1
          fi
          asked=''${asked//@tailnet@/$address}
        fi
        if [ -n "$token" ]; then
          header="authorization: Bearer $(< "$CREDENTIALS_DIRECTORY/$token")"
        fi
        # The token goes by a pipe: arguments are in the list of processes.
        if ! answer=$(curl --silent --show-error --write-out '\n%{http_code}' --max-time 60 --header @- "$@" "$asked" 2>&1 <<< "$header"); then
          reason=''${answer%$'\n'*}
          return 1
        fi
        reason="''${answer##*$'\n'} ''${answer%$'\n'*}"
        reason=''${reason:0:500}
        [ "''${reason%% *}" = 200 ]
      }

      wait_for() {
        local name=$1
        shift
        until ask "$@"; do
          if [ "$SECONDS" -ge "$deadline" ]; then
            echo "$name isn't ready after ${toString cfg.timeoutSeconds} s: $asked answered: $reason" >&2
            exit 1
          fi
          sleep 2
        done
        echo "$name is ready."
      }

      ${lib.concatStrings (
        lib.mapAttrsToList (name: check: ''
          wait_for ${
            lib.escapeShellArgs (
              [
                name
                (lib.optionalString (check.tokenFile != null) name)
                check.url
              ]
              ++ lib.optionals (check.body != null) [
                "--json"
                (builtins.toJSON check.body)
              ]
              ++ lib.optionals (check.resolve != null) [
                "--resolve"
                check.resolve
              ]
            )
          }
        '') cfg.checks
      )}
    '';
  };

  accept = pkgs.writeShellApplication {
    name = "bawn-accept-generation";
    runtimeInputs = [ pkgs.coreutils ];
    text = ''
      generation=$(readlink --canonicalize /run/current-system)
      ln --symbolic --force --no-dereference "$generation" ${good}.new
      mv --no-target-directory ${good}.new ${good}
      echo "$generation is ready: it is what a later generation that isn't would be left for."
    '';
  };

  leave = pkgs.writeShellApplication {
    name = "bawn-leave-generation";
    runtimeInputs = [
      config.nix.package
      config.systemd.package
      pkgs.coreutils
      pkgs.util-linux
    ];
    text = ''
      generation=$(readlink --canonicalize /run/current-system)
      good=$(readlink --canonicalize-existing ${good} || true)
      for unit in ${lib.concatStringsSep " " units}; do
        if systemctl is-failed --quiet "$unit"; then
          echo "$unit has failed; its last words:"
          journalctl --unit "$unit" --boot --lines 5 --no-pager --output cat
        fi
      done
      if [ -z "$good" ]; then
        echo "$generation isn't ready, and no generation before it was: it stays." >&2
        exit 1
      fi
      if [ "$good" = "$generation" ]; then
        echo "$generation was ready before and isn't now: the fault is not in the configuration, so it stays." >&2
        exit 1
      fi

      # The switch that brought this generation is still under way: it waits for the gate.
      exec 9> /run/nixos/switch-to-configuration.lock
      flock --timeout 600 9
      exec 9>&-

      echo "$generation isn't ready: back to $good."
      nix-env --profile /nix/var/nix/profiles/system --set "$good"
      booted=$(readlink --canonicalize /run/booted-system/kernel)
      if [ "$(readlink --canonicalize "$good/kernel")" = "$booted" ]; then
        exec "$good/bin/switch-to-configuration" switch
      fi
      # Another kernel, and with it another driver: only a boot brings them back.
      "$good/bin/switch-to-configuration" boot
      systemctl reboot
    '';
  };
in
{
  imports = [
    ./files.nix
    ./tailnet.nix
  ];

  options.bawn.healthGate = {
    enable = mkOption {
      type = types.bool;
      default = cfg.checks != { };
      defaultText = lib.literalMD "true where a service names a check";
      example = false;
      description = ''
        Wait for this host's own readiness after each switch and boot. A generation that isn't ready in time is replaced by
        the last one that was; {command}`nixos-rebuild switch` then ends with an error, and the journal of
        `bawn-leave-generation.service` says why. Where kernels differ the host reboots into the old one.
      '';
    };
    timeoutSeconds = mkOption {
      type = types.ints.positive;
      default = 300;
      example = 900;
      description = "How long all checks together may take. Loading a large model from disk counts.";
    };
    checks = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            url = mkOption {
              type = types.str;
              example = "http://@tailnet@:8700/ready";
              description = "Address that must answer 200. `@tailnet@` stands for this node's tailnet address.";
            };
            resolve = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "headscale.example.org:443:127.0.0.1";
              description = "HOST:PORT:ADDRESS to ask in place of what DNS says.";
            };
            body = mkOption {
              type = types.nullOr (pkgs.formats.json { }).type;
              default = null;
              example = {
                model = "coder";
                prompt = "1";
                max_tokens = 1;
              };
              description = "What is posted; with null the address is only fetched.";
            };
            tokenFile = mkOption {
              type = types.nullOr (import ./secret-file.nix { inherit lib; });
              default = null;
              example = "/run/secrets/bawn-token";
              description = "File with the bearer token that is shown.";
            };
          };
        }
      );
      default = { };
      example.gateway.url = "http://127.0.0.1:8700/ready";
      description = "What must be ready. The services of bawn add their own.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.checks != { };
        message = "bawn.healthGate.checks: is empty, so that every generation would count as ready; name a check or disable bawn.healthGate.enable.";
      }
    ];

    bawn.files = {
      bawn-health-gate = gate;
      bawn-accept-generation = accept;
      bawn-leave-generation = leave;
    };

    # A oneshot that doesn't stay active is started at each switch again, with the target that wants it, and the switch
    # waits for its end.
    systemd.services.bawn-health-gate = {
      description = "Readiness of this generation";
      wantedBy = [ "multi-user.target" ];
      after = map (unit: "${unit}.service") units;
      unitConfig = {
        OnSuccess = "bawn-accept-generation.service";
        OnFailure = "bawn-leave-generation.service";
      };
      serviceConfig = hardening.oneshot // {
        ExecStart = lib.getExe gate;
        DynamicUser = true;
        LoadCredential = lib.mapAttrsToList (name: check: "${name}:${check.tokenFile}") (
          lib.filterAttrs (_: check: check.tokenFile != null) cfg.checks
        );
        TimeoutStartSec = cfg.timeoutSeconds + 120;
        SocketBindDeny = "any";
        MemoryMax = "32M";
        IPAddressAllow = hardening.sandbox.IPAddressAllow ++ config.bawn.tailnet.addresses;
      };
    };

    systemd.services.bawn-accept-generation = {
      description = "Note that this generation is ready";
      restartIfChanged = false;
      serviceConfig =
        hardening.oneshot
        // hardening.offline
        // {
          ExecStart = lib.getExe accept;
          # Root, for the folder of garbage collector roots is root's; it can write nothing else.
          ReadWritePaths = [ "/nix/var/nix/gcroots" ];
          MemoryMax = "16M";
        };
    };

    # Without the sandbox: it does what `nixos-rebuild switch` does.
    systemd.services.bawn-leave-generation = {
      description = "Back to the last generation that was ready";
      restartIfChanged = false;
      # The switch that it starts must not end it.
      stopIfChanged = false;
      unitConfig.X-StopOnRemoval = false;
      serviceConfig = {
        Type = "oneshot";
        ExecStart = lib.getExe leave;
        TimeoutStartSec = "30min";
      };
    };

    # A generation that doesn't even come up to where the gate runs: the boot loader counts its tries. systemd-boot can,
    # GRUB can't; and nixpkgs has the option from 26.11 on.
    boot.loader.systemd-boot = lib.mkIf config.boot.loader.systemd-boot.enable (
      lib.optionalAttrs (options.boot.loader.systemd-boot ? bootCounting) {
        bootCounting.enable = lib.mkDefault true;
      }
    );
    # A boot counts as good when the gate has passed.
    systemd.targets.boot-complete = lib.mkIf config.boot.loader.systemd-boot.enable {
      requires = [ "bawn-health-gate.service" ];
      after = [ "bawn-health-gate.service" ];
    };
  };
}
