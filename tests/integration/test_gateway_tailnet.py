"""Identity on a real tailnet: Headscale and a tailscaled for the gateway, two people's laptops and a server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bawn.gateway.auth.local_api import LocalApi, Peer
from support.gateway import RunningGateway, captured_logs, running_gateway
from support.headscale import Headscale
from support.scripted_upstream import scripted_upstream
from support.tailnet_binaries import tailnet_binaries
from support.until import until_async
from support.userspace_node import UserspaceNode

pytestmark = pytest.mark.timeout(300, func_only=True)

PEOPLE = {
    "ada": {
        "login": "ada@example.org",
        "models": ["scripted"],
        "nodes": ["ada-laptop"],
    },
    # A user of Headscale without e-mail, as policies write them.
    "bob": {"login": "bob@", "nodes": ["bob-laptop"]},
}
POLICY = {
    "tagOwners": {"tag:gateway": [], "tag:gpu": []},
    "grants": [{"src": ["*"], "dst": ["tag:gateway"], "ip": ["*"]}],
}


@dataclass
class Tailnet:
    headscale: Headscale
    nodes: dict[str, UserspaceNode]

    @property
    def gateway(self) -> UserspaceNode:
        return self.nodes["gateway"]


@pytest.fixture(scope="module")
def tailnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tailnet]:
    binaries, folder = tailnet_binaries(), tmp_path_factory.mktemp("t")
    headscale = Headscale(binaries, folder)
    headscale.policy.write_text(json.dumps(POLICY), encoding="utf-8")
    server = json.loads(headscale.config.read_text(encoding="utf-8"))["server_url"]
    with headscale.running(), contextlib.ExitStack() as stack:
        headscale.add_user("ada", "ada@example.org")
        headscale.add_user("bob")
        users = {user["name"]: str(user["id"]) for user in headscale.ask("users", "list")}
        owners = {
            "gateway": ("--tags", "tag:gateway"),
            "gpu": ("--tags", "tag:gpu"),
            "ada-laptop": ("--user", users["ada"]),
            "bob-laptop": ("--user", users["bob"]),
        }

        def joined(name: str) -> UserspaceNode:
            key = headscale.ask("preauthkeys", "create", *owners[name], "--expiration", "10m")["key"]
            node = UserspaceNode(binaries, folder, name)
            stack.callback(node.stop)
            node.start()
            node.join(server, key)
            return node

        with ThreadPoolExecutor() as pool:
            nodes = {node.name: node for node in pool.map(joined, owners)}
        yield Tailnet(headscale, nodes)


@pytest.fixture
async def gateway(tailnet: Tailnet) -> AsyncIterator[RunningGateway]:
    async with scripted_upstream() as up:
        upstreams = [{"name": "gpu", "url": up.url, "models": ["scripted"]}]
        socket = str(tailnet.gateway.socket)
        async with running_gateway(
            upstreams=upstreams,
            people=PEOPLE,
            identity="key+tailnet",
            tailscaled_socket=socket,
        ) as running:
            yield running


class Caller:
    """Asks the gateway from a node, over the tailnet."""

    def __init__(self, tailnet: Tailnet, node: str, gateway: RunningGateway) -> None:
        self._url = f"http://{tailnet.gateway.address}:{httpx.URL(gateway.url).port}"
        self._client = httpx.AsyncClient(proxy=tailnet.nodes[node].proxy, trust_env=False, timeout=30)

    async def ask(self, key: str) -> tuple[int, str]:
        """Status and error class; the first packets between two nodes take seconds, and tailscaled gives up early."""
        headers, answers = {"authorization": f"Bearer {key}"}, list[httpx.Response]()

        async def is_answered() -> bool:
            with contextlib.suppress(httpx.TransportError):
                answers.append(await self._client.get(f"{self._url}/v1/models", headers=headers))
                # The proxy's own errors are plain text.
                return answers[-1].headers.get("content-type", "").startswith("application/json")
            return False

        await until_async(is_answered, within_s=90)
        return answers[-1].status_code, answers[-1].json().get("error", {}).get("code", "")

    async def aclose(self) -> None:
        await self._client.aclose()


@pytest.fixture
async def callers(tailnet: Tailnet, gateway: RunningGateway) -> AsyncIterator[dict[str, Caller]]:
    calling = {name: Caller(tailnet, name, gateway) for name in ("ada-laptop", "bob-laptop", "gpu")}
    yield calling
    for caller in calling.values():
        await caller.aclose()


async def test_a_key_counts_on_its_owners_node_alone(gateway: RunningGateway, callers: dict[str, Caller]):
    ada, bob = (gateway.keys.add(name) for name in ("ada", "bob"))
    cases = {
        ("ada-laptop", ada.text): (200, ""),
        ("bob-laptop", bob.text): (200, ""),
        ("bob-laptop", ada.text): (403, "identity_mismatch"),
        ("ada-laptop", bob.text): (403, "identity_mismatch"),
        ("gpu", ada.text): (403, "node_not_allowed"),
    }
    with captured_logs() as logs:
        told = await asyncio.gather(*(callers[node].ask(key) for node, key in cases))
    assert dict(zip(cases, told, strict=True)) == cases
    lines = [json.loads(line) for line in logs.getvalue().splitlines()]
    recorded = {
        (line["key"], line.get("user"), line.get("node"), line["status"])
        for line in lines
        if line["event"] == "request"
    }
    assert recorded == {
        (ada.stored.id, "ada", "ada-laptop", 200),
        (bob.stored.id, "bob", "bob-laptop", 200),
        (ada.stored.id, "bob", "bob-laptop", 403),
        (bob.stored.id, "ada", "ada-laptop", 403),
        (ada.stored.id, None, None, 403),
    }


async def test_who_is_on_the_gateways_host_is_no_node_and_while_tailscaled_is_away_nobody_knows(
    tailnet: Tailnet, gateway: RunningGateway, callers: dict[str, Caller]
):
    key = gateway.keys.add("ada").text

    async def code() -> Any:
        answer = await gateway.client.get("/v1/models", headers={"authorization": f"Bearer {key}"})
        return answer.status_code, answer.json()["error"]["code"]

    assert await code() == (403, "node_not_allowed")
    await asyncio.to_thread(tailnet.gateway.stop)
    assert await code() == (503, "identity_unknown")
    tailnet.gateway.start()
    seen = {(503, "identity_unknown")}

    async def is_back() -> bool:
        seen.add(await code())
        return (403, "node_not_allowed") in seen

    await until_async(is_back, within_s=60)
    assert seen == {(503, "identity_unknown"), (403, "node_not_allowed")}
    assert await callers["ada-laptop"].ask(key) == (200, "")


async def test_tailscaled_knows_a_node_by_its_addresses_of_both_kinds_until_it_is_removed(
    tailnet: Tailnet,
):
    api = LocalApi(tailnet.gateway.socket)
    try:
        nodes = await asyncio.to_thread(tailnet.headscale.ask, "nodes", "list")
        (bob,) = (node for node in nodes if node["given_name"] == "bob-laptop")
        assert len(bob["ip_addresses"]) == 2
        for address in bob["ip_addresses"]:
            assert await api.whois(address, 40000) == Peer("bob-laptop", "bob")
        assert await api.whois(tailnet.nodes["gpu"].address, 1) == Peer("gpu", None)
        assert await api.whois("100.64.99.99", 1) is None
        remove = ("nodes", "delete", "--identifier", str(bob["id"]), "--force")
        await asyncio.to_thread(tailnet.headscale.ask, *remove)

        async def is_gone() -> bool:
            return await api.whois(bob["ip_addresses"][0], 40000) is None

        await until_async(is_gone)
    finally:
        await api.aclose()
