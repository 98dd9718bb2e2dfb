"""Identity on a real tailnet: Headscale and a tailscaled for the gateway, two people's laptops and a server."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bawn.gateway.auth.local_api import LocalApi, Peer
from support.code_index import make_index
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
        "indexes": ["code"],
        "nodes": ["ada-laptop"],
    },
    # A user of Headscale without e-mail, as policies write them; nothing is allowed to him.
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
def identity() -> str:
    """What the gateway goes by; a test of another mode parametrises it."""
    return "key+tailnet"


@pytest.fixture
async def gateway(tailnet: Tailnet, identity: str, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    make_index(tmp_path, "demo", {"a.py": (["retry"], "def retry():\n    return\n")})
    async with scripted_upstream() as up:
        upstreams = [{"name": "gpu", "url": up.url, "models": ["scripted"]}]
        socket = str(tailnet.gateway.socket)
        async with running_gateway(
            upstreams=upstreams,
            people=PEOPLE,
            identity=identity,
            tailscaled_socket=socket,
            index_dir=str(tmp_path),
        ) as running:
            yield running


class Caller:
    """Asks the gateway from a node, over the tailnet."""

    def __init__(self, tailnet: Tailnet, node: str, gateway: RunningGateway) -> None:
        self._url = f"http://{tailnet.gateway.address}:{httpx.URL(gateway.url).port}"
        self._client = httpx.AsyncClient(proxy=tailnet.nodes[node].proxy, trust_env=False, timeout=30)

    async def ask(self, key: str | None) -> tuple[int, str]:
        """Status and error class of a question for the models."""
        return _verdict(await self._answer("GET", "/v1/models", key))

    async def chat(self, key: str | None) -> tuple[int, str]:
        """Status and error class of a chat request."""
        body = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}
        return _verdict(await self._answer("POST", "/v1/chat/completions", key, body))

    async def mcp(self, key: str | None, method: str, **params: Any) -> Any:
        """The result of an MCP request; its answer's error class where it is refused as a whole."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await self._answer("POST", "/mcp", key, body)
        return answer.json()["result"] if answer.status_code == 200 else _verdict(answer)

    async def _answer(self, method: str, path: str, key: str | None, body: Any = None) -> httpx.Response:
        """The answer; the first packets between two nodes take seconds, and tailscaled gives up early."""
        headers, answers = {"accept": "application/json"}, list[httpx.Response]()
        if key is not None:
            headers["authorization"] = f"Bearer {key}"

        async def is_answered() -> bool:
            with contextlib.suppress(httpx.TransportError):
                answers.append(await self._client.request(method, f"{self._url}{path}", headers=headers, json=body))
                # The proxy's own errors are plain text.
                return answers[-1].headers.get("content-type", "").startswith("application/json")
            return False

        await until_async(is_answered, within_s=90)
        return answers[-1]

    async def aclose(self) -> None:
        await self._client.aclose()


def _verdict(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error", {}).get("code", "")


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


async def found_by(caller: Caller, key: str | None) -> tuple[list[str], bool, str]:
    """The tools that are listed to a caller, and what a search with one of them gives: whether it failed, and text."""
    listed = await caller.mcp(key, "tools/list")
    called = await caller.mcp(key, "tools/call", name="search_code", arguments={"query": "retry"})
    return [tool["name"] for tool in listed["tools"]], called.get("isError", False), called["content"][0]["text"]


@pytest.mark.parametrize("identity", ["key+tailnet", "tailnet"])
async def test_who_may_use_no_model_and_no_index_is_refused_both_beside_who_may(
    gateway: RunningGateway, callers: dict[str, Caller], identity: str
):
    keyed = identity != "tailnet"
    ada, bob = (gateway.keys.add(name).text if keyed else None for name in ("ada", "bob"))
    with captured_logs() as logs:
        assert await callers["ada-laptop"].chat(ada) == (200, "")
        assert await callers["bob-laptop"].chat(bob) == (403, "forbidden")
        tools, failed, text = await found_by(callers["ada-laptop"], ada)
        assert (tools[0], len(tools), failed, "def retry" in text) == ("search_code", 6, False, True)
        tools, failed, text = await found_by(callers["bob-laptop"], bob)
        assert (tools, failed, "may not search the index `code`" in text) == ([], True, True)
    lines = [json.loads(line) for line in logs.getvalue().splitlines()]
    refused = {(line["user"], line["surface"]) for line in lines if line.get("error") == "forbidden"}
    assert refused == {("bob", "chat"), ("bob", "mcp")}


@pytest.mark.parametrize("identity", ["tailnet"])
async def test_without_keys_the_node_says_who_is_calling_and_a_node_of_nobody_is_refused(
    gateway: RunningGateway, callers: dict[str, Caller]
):
    with captured_logs() as logs:
        assert await callers["ada-laptop"].ask(None) == (200, "")
        assert await callers["bob-laptop"].ask(None) == (200, "")
        # A key counts for nothing, whosever it is.
        assert await callers["gpu"].ask(gateway.keys.add("ada").text) == (403, "node_not_allowed")
        assert await callers["gpu"].chat(None) == (403, "node_not_allowed")
        assert await callers["gpu"].mcp(None, "tools/list") == (403, "node_not_allowed")
    lines = [json.loads(line) for line in logs.getvalue().splitlines()]
    recorded = {(line.get("user"), line.get("node")) for line in lines if line["event"] == "request"}
    assert recorded == {("ada", "ada-laptop"), ("bob", "bob-laptop"), (None, None)}


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
