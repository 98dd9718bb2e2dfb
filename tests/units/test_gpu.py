"""The GPU host as it is with a card, booted where there is none: it refuses with the reason, and its sandboxes hold."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hosts import tree
from support.hosts.attacking import attacked, listen_outside, prepare
from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

PREFLIGHT = "bawn-gpu-preflight.service"
SERVER = "bawn-model-server.service"
OPEN = {"map writable code": "NVIDIA's library makes code while it runs"}
"""Attacks that a unit with a GPU can't refuse."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WiredHosts]:
    """The GPU host with the units for a card, booted; and Headscale's, which stands for the outside."""
    reason = tree.missing()
    if reason is not None:
        pytest.skip(reason)
    hosts = WiredHosts(Path(tmp_path_factory.mktemp("gpu")), gpu="gpu")
    hosts.start("headscale", "gpu")
    prepare(hosts.gpu)
    listen_outside(hosts.headscale)
    yield hosts
    hosts.close()


def test_without_a_card_the_preflight_says_so_and_the_model_server_never_starts(hosts: WiredHosts) -> None:
    why = "The NVIDIA kernel module isn't loaded"
    hosts.gpu.wait_until_succeeds(f'journalctl --unit {PREFLIGHT} --output cat | grep "{why}"', timeout=60)
    hosts.gpu.fail(f"systemctl is-active {SERVER}")
    assert hosts.gpu.property_of(SERVER, "ActiveEnterTimestampMonotonic") == "0"
    # It tries again by itself: a driver may come later.
    assert hosts.gpu.property_of(PREFLIGHT, "Restart") == "on-failure"


@pytest.mark.parametrize("unit", [PREFLIGHT, SERVER])
def test_every_attack_from_inside_a_unit_is_refused(hosts: WiredHosts, unit: str) -> None:
    found = attacked(hosts.gpu, unit, hosts.underlay("headscale"), ["/var/lib/bawn-secrets/token"])
    assert len(found) > 15
    assert {attack for attack, outcome in found.items() if outcome == "done"} == set(OPEN)
