"""Switches: a generation that can't serve is left again, and one that can takes over under load."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import scenarios.health_gate
import scenarios.upgrade
from support.hosts import generations, tree
from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(600, func_only=True)


@pytest.fixture(scope="module")
def with_generations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WiredHosts]:
    """Hosts that aren't started; the GPU host and the gateway have generations to switch to."""
    reason = tree.missing()
    if reason is not None:
        pytest.skip(reason)
    hosts = WiredHosts(Path(tmp_path_factory.mktemp("generations")))
    broken = {"model": "/var/lib/bawn-weights/missing.gguf"}
    generations.lay(hosts.gpu, "bawn-model-server", {"broken": broken, "other": {"n_batch": 256}})
    generations.lay(hosts.gateway, "bawn-gateway", {"next": {"max_in_flight": 63}})
    yield hosts
    hosts.close()


def test_health_gate(with_generations: WiredHosts) -> None:
    with_generations.start("gpu")
    scenarios.health_gate.run(with_generations.gpu)


def test_upgrade(with_generations: WiredHosts) -> None:
    hosts = with_generations
    if not hosts.gpu.runs:
        hosts.start("gpu")
    hosts.start("gateway", "laptop")
    scenarios.upgrade.run(hosts.gateway, hosts.gpu, hosts.laptop, hosts.PERSON)
    # The gate has asked the new one, through the tailnet, for the GPU host, too.
    hosts.gateway.wait_until_succeeds(f"test -e {scenarios.health_gate.GOOD}", timeout=60)
