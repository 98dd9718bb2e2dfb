"""Runs `attacks.py` in the place of a unit's program, and without a sandbox."""

import json
from collections.abc import Sequence
from typing import Final

from support.hosts import golden_host
from support.hosts.machine import Machine

PYTHON: Final = f"{golden_host.BAWN}/env/bin/python"
_ATTACKS: Final = "/opt/test/attacks.py"


def listen_outside(machine: Machine) -> None:
    """Accept connections on port 9 of every address of the host, behind its firewall too."""
    machine.succeed("nft insert rule inet nixos-fw input-allow tcp dport 9 accept")
    server = "import socket; s = socket.create_server(('0.0.0.0', 9)); [s.accept() for _ in range(99)]"
    machine.succeed(f'systemd-run --quiet --unit=outside python3 -c "{server}"')
    machine.wait_for_open_port(9, "127.0.0.1", timeout=20)


def prepare(machine: Machine) -> None:
    """Put the attacks on the host, and something private for them to find."""
    machine.write(_ATTACKS, (golden_host.HERE / "attacks.py").read_text(encoding="utf-8"))
    machine.write("/root/private", "mine")


def attacked(machine: Machine, unit: str, outside: str, files: Sequence[str]) -> dict[str, str]:
    """What comes of each attack from inside the unit's sandbox: "done", or the refusal.

    Args:
        machine: a running host, prepared.
        unit: whose sandbox.
        outside: address where `listen_outside` listens.
        files: what is none of the unit's business.
    """
    golden_host.override(
        machine,
        unit,
        "[Unit]\nOnSuccess=\nOnFailure=\n[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStartPre=\nExecStart=\n"
        f"ExecStart={PYTHON} {_ATTACKS} {outside} {' '.join(files)}\n",
    )
    # What the unit needs may not run here: a card's preflight fails where there is no card.
    start = f"systemctl --job-mode=ignore-dependencies start {unit}"
    machine.succeed(f"systemctl daemon-reload; systemctl stop {unit}; {start}")
    journal = machine.journal(unit)
    machine.succeed(f"rm /etc/systemd/system/{unit}.d/test.conf; systemctl daemon-reload")
    return _told(journal)


def attacked_without_a_sandbox(machine: Machine, outside: str, files: Sequence[str]) -> dict[str, str]:
    """The same for a program of root's outside of any unit of ours."""
    run = "systemd-run --quiet --wait --pipe --property=LimitCORE=infinity"
    return _told(machine.succeed(f"{run} {PYTHON} {_ATTACKS} {outside} {' '.join(files)}"))


def _told(journal: str) -> dict[str, str]:
    lines = [line for line in journal.splitlines() if line.startswith("attacks:")]
    assert lines, f"the attacks were not run:\n{journal[-3000:]}"
    return json.loads(lines[-1].removeprefix("attacks:"))
