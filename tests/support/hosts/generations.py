"""Generations of a host, as far as `switch-to-configuration` needs them: one service with other settings in each.

NixOS' own program is not here, since there is no NixOS. What stands in for it does what a switch means for the unit: it
holds the lock, makes the generation current, restarts the unit, and waits for the gate. The gate and what it starts are
the real units.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from support.hosts.golden_host import STORE
from support.hosts.machine import Machine

_SYSTEM: Final = f"{STORE}/system"
_GATE: Final = f"{STORE}/bawn-health-gate/bin/bawn-health-gate"
_GOLDEN_PATIENCE: Final = "SECONDS + 300"
_PATIENCE: Final = "SECONDS + 30"
"""A tiny model is loaded within seconds."""

_SWITCH: Final = f"""#!/bin/bash
set -o errexit -o nounset
generation=$(readlink --canonicalize "$(dirname "$0")/..")
mkdir --parents /run/nixos
exec 9> /run/nixos/switch-to-configuration.lock
flock --nonblock 9
[ "$1" = test ] || ln --symbolic --force --no-dereference "$generation" /nix/var/nix/profiles/system
[ "$1" != boot ] || exit 0
ln --symbolic --force --no-dereference "$generation" /run/current-system
read -r unit < "$generation/unit"
cp "$generation/$unit.json" {STORE}/
status=0
systemctl restart "$unit.service" 9>&- || status=4
systemctl start bawn-health-gate.service 9>&- || status=4
exit $status
"""
_NIX_ENV: Final = """#!/bin/bash
set -o errexit -o nounset
[ "$1 $3" = "--profile --set" ]
ln --symbolic --force --no-dereference "$4" "$2"
"""


def lay(machine: Machine, unit: str, others: Mapping[str, Mapping[str, Any]]) -> None:
    """Make what the host has laid over it a generation, with others beside it. Call it before the host is started.

    Args:
        machine: the host.
        unit: service whose settings differ.
        others: specialisation → what goes on top of the settings.
    """
    plain = json.loads((machine.root / STORE.lstrip("/") / f"{unit}.json").read_text(encoding="utf-8"))
    _lay(machine, _SYSTEM, unit, plain)
    for name, settings in others.items():
        _lay(machine, f"{_SYSTEM}-{name}", unit, plain | settings)
        machine.link(f"{_SYSTEM}/specialisation/{name}", f"{_SYSTEM}-{name}")
    machine.write(f"{STORE}/nix/bin/nix-env", _NIX_ENV, mode=0o755)
    machine.write(
        "/etc/tmpfiles.d/generations.conf",
        f"d /nix/var/nix/profiles\nL+ /nix/var/nix/profiles/system - - - - {_SYSTEM}\n"
        f"L+ /run/booted-system - - - - {_SYSTEM}\n",
    )
    gate = (machine.root / _GATE.lstrip("/")).read_text(encoding="utf-8")
    assert _GOLDEN_PATIENCE in gate
    machine.write(_GATE, gate.replace(_GOLDEN_PATIENCE, _PATIENCE), mode=0o755)


def _lay(machine: Machine, system: str, unit: str, settings: Mapping[str, Any]) -> None:
    machine.write(f"{system}/kernel", "the one that was booted\n")
    machine.write(f"{system}/unit", f"{unit}\n")
    machine.write(f"{system}/{unit}.json", json.dumps(settings))
    machine.write(f"{system}/bin/switch-to-configuration", _SWITCH, mode=0o755)
