"""The example team's hosts, for every file of tests here: booted once, with a key on the laptop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hosts import third_party, tree
from support.hosts.wired import WiredHosts


@pytest.fixture(scope="module")
def unstarted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WiredHosts]:
    """Hosts that are laid out and not booted; the module's `GATEWAY` names the golden files of that host."""
    gateway: str = getattr(request.module, "GATEWAY", "gateway")
    reason = tree.missing()
    if reason is None and gateway == "gateway-with-meilisearch" and third_party.meilisearch() is None:
        reason = third_party.ABSENT
    if reason is not None:
        pytest.skip(reason)
    hosts = WiredHosts(Path(tmp_path_factory.mktemp("hosts")), gateway=gateway)
    yield hosts
    hosts.close()


@pytest.fixture(scope="module")
def hosts(unstarted: WiredHosts) -> WiredHosts:
    """Hosts that work: all booted, an API key on the laptop, the repository indexed."""
    unstarted.start("headscale", "gpu", "gateway", "laptop")
    unstarted.gpu.wait_for_unit("bawn-model-server.service", timeout=120)
    unstarted.gateway.wait_for_unit("bawn-gateway.service", timeout=60)
    unstarted.give_key()
    unstarted.gateway.succeed("systemctl start bawn-indexer.service")
    return unstarted
