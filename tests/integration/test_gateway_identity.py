"""Who is let in and what they may use, over real HTTP and tailscaled's socket; loopback is somebody's node here."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from bawn.gateway.app import gateway_app
from bawn.gateway.auth.store import KeyStore
from bawn.gateway.settings import GatewaySettings
from bawn.service.serving import running
from bawn.service.settings import to_settings
from support.code_index import make_index
from support.gateway import RunningGateway, captured_logs, running_gateway
from support.ports import free_port
from support.scripted_upstream import ScriptedUpstream, scripted_upstream
from support.until import until_async
from support.whois import Tailscaled, node

# The key of `running_gateway` is made for `test`.
TEST = {
    "login": "test@example.org",
    "models": ["default"],
    "indexes": ["libraries"],
    "nodes": ["laptop"],
}
OTHER = {"login": "other@example.org", "models": ["secret"], "indexes": ["code"]}
ALIASES = {"default": "coder", "hidden": "secret"}
SURFACES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "def "},
    "/v1/fim/completions": {"prompt": "def ", "suffix": "return"},
    "/v1/embeddings": {"input": "hi"},
}


@pytest.fixture
async def tailscaled(tmp_path: Path) -> AsyncIterator[Tailscaled]:
    daemon = Tailscaled()
    daemon.nodes = {"127.0.0.1": node("laptop", "test@example.org")}
    async with daemon.running(tmp_path / "t.sock"):
        yield daemon


@contextlib.asynccontextmanager
async def gateway_with(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[RunningGateway, ScriptedUpstream]]:
    async with scripted_upstream() as up:
        data: dict[str, Any] = {
            "upstreams": [{"name": "gpu", "url": up.url, "models": ["coder", "secret"]}],
            "aliases": ALIASES,
            "people": {"test": TEST, "other": OTHER},
            "identity": "key+tailnet",
            "tailscaled_socket": str(tmp_path / "t.sock"),
            **settings,
        }
        async with running_gateway(**data) as gateway:
            yield gateway, up


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def records(logs: Any) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in logs.getvalue().splitlines()]
    return [line for line in lines if line.get("event") == "request"]


async def test_the_owners_key_on_the_owners_node_is_let_in_and_recorded(tailscaled: Tailscaled, tmp_path: Path):
    with captured_logs() as logs:
        async with gateway_with(tmp_path) as (gateway, _):
            for path, body in SURFACES.items():
                answer = await gateway.client.post(path, json={"model": "default", **body})
                assert answer.status_code == 200, (path, answer.text)
    assert [record["surface"] for record in records(logs)] == ["chat", "completions", "fim", "embeddings"]
    for record in records(logs):
        assert (record["key"], record["user"], record["node"]) == (gateway.key_id, "test", "laptop")
    assert "test@example.org" not in logs.getvalue()


@pytest.mark.parametrize("path", SURFACES)
async def test_a_model_that_is_not_allowed_is_refused_by_name_before_any_upstream_hears_of_it(
    tailscaled: Tailscaled, tmp_path: Path, path: str
):
    async with gateway_with(tmp_path) as (gateway, up):
        for asked in ("secret", "hidden"):
            answer = await gateway.client.post(path, json={"model": asked, **SURFACES[path]})
            assert error_of(answer) == (403, "forbidden")
            assert "`secret`" in answer.json()["error"]["message"]
            assert answer.json()["error"]["param"] == "model"
        assert not up.posts
        # By its own name as well as by the alias that the settings allow.
        assert (await gateway.client.post(path, json={"model": "coder", **SURFACES[path]})).status_code == 200


async def test_only_what_is_allowed_is_listed_and_named(tailscaled: Tailscaled, tmp_path: Path):
    async with gateway_with(tmp_path) as (gateway, _):
        listing = (await gateway.client.get("/v1/models")).json()
        assert [card["id"] for card in listing["data"]] == ["default", "coder"]
        assert (await gateway.client.get("/v1/models/default")).status_code == 200
        one = await gateway.client.get("/v1/models/secret")
        assert error_of(one) == (404, "model_not_found")
        missing = await gateway.client.post("/v1/chat/completions", json={"model": "typo", "messages": []})
        assert error_of(missing) == (404, "model_not_found")
        assert missing.json()["error"]["message"].endswith("Known models: default, coder.")


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("search_code", {"query": "retry"}),
    ("find_symbol", {"name": "retry"}),
    ("grep", {"pattern": "def retry"}),
    ("grep", {"pattern": "def retry", "repo": "demo"}),
    ("read_file", {"repo": "demo", "path": "a.py"}),
    ("repo_map", {"repo": "demo"}),
]
"""Each tells something of the code."""
OF_CODE = ["search_code", "find_symbol", "grep", "read_file", "repo_map"]
OF_DOCS = ["grep", "read_file", "search_docs"]


@pytest.mark.parametrize(
    ("indexes", "tools"),
    [
        ([], []),
        (["libraries"], []),
        (["docs"], [*OF_DOCS, "list_indexes"]),
        (["code"], [*OF_CODE, "list_indexes"]),
        (["docs", "code"], [*OF_CODE, "search_docs", "list_indexes"]),
    ],
)
async def test_what_an_index_that_is_not_allowed_has_comes_out_by_no_tool(
    tailscaled: Tailscaled, tmp_path: Path, indexes: list[str], tools: list[str]
):
    make_index(tmp_path / "index", "demo", {"a.py": (["retry"], "def retry():\n    return\n")})
    make_index(tmp_path / "index", "handbook", {"vpn.md": (["VPN"], "# VPN\nAsk.\n")}, "docs")
    people = {"test": TEST | {"indexes": indexes}, "other": OTHER}
    may = "code" in indexes
    with captured_logs() as logs:
        async with (
            gateway_with(tmp_path, people=people, index_dir=str(tmp_path / "index")) as (gateway, _),
            httpx.AsyncClient(headers=dict(gateway.client.headers), trust_env=False, timeout=20) as http,
            Client(streamable_http_client(f"{gateway.url}/mcp", http_client=http)) as client,
        ):
            assert [tool.name for tool in (await client.list_tools()).tools] == tools
            for name, arguments in CALLS:
                called = await client.call_tool(name, arguments)
                assert called.is_error is not may, name
                told = called.model_dump_json()
                assert ("a.py" in told) is may, name
                if not may and name in ("search_code", "find_symbol"):
                    assert "may not search the index `code`" in called.content[0].text
            documents = await client.call_tool("search_docs", {"query": "VPN"})
            assert documents.is_error is ("docs" not in indexes)
            listing = (await client.call_tool("list_indexes", {})).model_dump_json()
            assert ("demo" in listing, "handbook" in listing) == (may, "docs" in indexes)
    refused = [record for record in records(logs) if record.get("error") == "forbidden"]
    assert bool(refused) is (not may or "docs" not in indexes)
    assert {record["user"] for record in records(logs)} == {"test"}


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/coder", "/v1/other", "/v1/chat/completions", "/mcp"])
async def test_another_persons_key_opens_nothing(tailscaled: Tailscaled, tmp_path: Path, path: str):
    async with gateway_with(tmp_path) as (gateway, up):
        stolen = {"authorization": f"Bearer {gateway.keys.add('other').text}"}
        body = {"model": "secret", "messages": []}
        post = path in ("/v1/chat/completions", "/mcp")
        with captured_logs() as logs:
            answer = await gateway.client.request("POST" if post else "GET", path, headers=stolen, json=body)
        assert error_of(answer) == (403, "identity_mismatch")
        (record,) = records(logs)
        assert (record["error"], record["user"], record["node"]) == ("identity_mismatch", "test", "laptop")
        assert not up.posts


async def test_a_node_that_becomes_somebody_elses_a_servers_or_nobodys_is_soon_out(
    tailscaled: Tailscaled, tmp_path: Path
):
    async with gateway_with(tmp_path) as (gateway, _):
        for told, code in (
            (node("laptop", "other@example.org"), "identity_mismatch"),
            (node("laptop", "eve@example.org"), "node_not_allowed"),
            (node("laptop", "", tags=["tag:gpu"]), "node_not_allowed"),
            (None, "node_not_allowed"),
        ):
            tailscaled.nodes = {"127.0.0.1": node("laptop", "test@example.org")}

            async def let_in() -> bool:
                return (await gateway.client.get("/v1/models")).status_code == 200

            async def refused(code: str = code) -> bool:
                answer = await gateway.client.get("/v1/models")
                return answer.status_code != 200 and error_of(answer) == (403, code)

            await until_async(let_in, within_s=5)
            tailscaled.nodes = {} if told is None else {"127.0.0.1": told}
            await until_async(refused)


async def test_a_tailscaled_that_is_down_is_a_503_that_says_so_and_passes(tmp_path: Path):
    daemon = Tailscaled()
    daemon.nodes = {"127.0.0.1": node("laptop", "test@example.org")}
    async with gateway_with(tmp_path) as (gateway, up):
        refused = await gateway.client.post("/v1/chat/completions", json={"model": "coder", "messages": []})
        assert error_of(refused) == (503, "identity_unknown")
        assert "tailscaled" in refused.json()["error"]["message"]
        assert refused.headers["retry-after"] == "1"
        assert not up.posts
        async with daemon.running(tmp_path / "t.sock"):
            assert (await gateway.client.get("/v1/models")).status_code == 200
        # What needs no caller goes on without it.
        assert (await gateway.client.get("/health")).status_code == 200
        assert b'error="identity_unknown"' in (await gateway.client.get("/metrics")).content


async def test_in_mode_tailnet_no_key_is_needed(tailscaled: Tailscaled, tmp_path: Path):
    async with gateway_with(tmp_path, identity="tailnet") as (gateway, _):
        del gateway.client.headers["authorization"]
        with captured_logs() as logs:
            assert (await gateway.client.get("/v1/models")).status_code == 200
        (record,) = records(logs)
        assert (record["user"], record["node"], record.get("key")) == ("test", "laptop", None)
        tailscaled.nodes.clear()

        async def refused() -> bool:
            return (await gateway.client.get("/v1/models")).status_code == 403

        await until_async(refused)


async def test_a_revoked_key_is_out_at_the_next_request(tailscaled: Tailscaled, tmp_path: Path):
    async with gateway_with(tmp_path) as (gateway, _):
        assert (await gateway.client.get("/v1/models")).status_code == 200
        gateway.keys.revoke(gateway.key_id)
        assert error_of(await gateway.client.get("/v1/models")) == (401, "invalid_api_key")


async def test_without_people_every_key_may_use_everything(tmp_path: Path):
    async with gateway_with(tmp_path, people=None, identity="key") as (gateway, _):
        listing = (await gateway.client.get("/v1/models")).json()
        assert [card["id"] for card in listing["data"]] == ["default", "hidden", "coder", "secret"]
        assert (
            await gateway.client.post("/v1/chat/completions", json={"model": "hidden", "messages": []})
        ).status_code == 200


async def test_the_address_of_an_ipv6_connection_is_the_one_that_is_asked_for(tailscaled: Tailscaled, tmp_path: Path):
    tailscaled.nodes = {"::1": node("laptop", "test@example.org")}
    keys, port = KeyStore(tmp_path / "keys.json"), free_port()
    data = {
        "upstreams": [{"name": "gpu", "url": "http://127.0.0.1:1", "models": ["coder"]}],
        "people": {"test": TEST},
        "identity": "key+tailnet",
        "tailscaled_socket": str(tmp_path / "t.sock"),
        "keys_file": str(keys.path),
        "aliases": {"default": "coder"},
    }
    key = {"authorization": f"Bearer {keys.add('test').text}", "x-forwarded-for": "192.0.2.1"}
    app = gateway_app(to_settings(data, GatewaySettings, origin="test"))
    async with running(app, "::1", port), httpx.AsyncClient(trust_env=False, timeout=20) as client:
        assert (await client.get(f"http://[::1]:{port}/v1/models", headers=key)).status_code == 200
    (asked,) = tailscaled.asked
    assert asked.startswith("[::1]:")
