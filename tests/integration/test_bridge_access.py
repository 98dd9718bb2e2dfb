"""Who the bridge answers."""

from collections.abc import AsyncIterator

import httpx
import pytest

from support.bridges import CHAT, TOKEN, Bridge, bridge_to
from support.scripted_upstream import ScriptedUpstream, scripted_upstream

PATHS = ["/", "/health", "/ready", "/v1/models", "/mcp", "/v1/nothing", "/nothing"]


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as up:
        yield up


@pytest.fixture
async def bridge(gateway: ScriptedUpstream) -> AsyncIterator[Bridge]:
    async with bridge_to(gateway.url) as served:
        yield served


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1"},
        {"host": "127.0.0.1:1"},
        {"host": "localhost.evil.example:8080"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
async def test_a_web_page_gets_403_on_every_path_even_with_the_token(
    bridge: Bridge, gateway: ScriptedUpstream, path: str, headers: dict[str, str]
) -> None:
    answer = await bridge.client.get(path, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "forbidden"
    assert "access-control-allow-origin" not in answer.headers
    assert gateway.requests == []
    assert (bridge.records[-1].status, bridge.records[-1].error) == (403, "forbidden")


async def test_the_names_of_this_machine_and_its_own_pages_are_answered(bridge: Bridge) -> None:
    port = bridge.url.rsplit(":", 1)[1]
    for host in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        headers = {"host": f"{host}:{port}", "origin": f"http://{host}:{port}", "sec-fetch-site": "same-origin"}
        assert (await bridge.client.get("/v1/models", headers=headers)).status_code == 200
    assert (await bridge.client.get("/", headers={"sec-fetch-site": "none"})).status_code == 200


async def test_a_preflight_of_a_foreign_page_is_refused(bridge: Bridge) -> None:
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    assert (await bridge.client.options("/v1/chat/completions", headers=headers)).status_code == 403


async def test_a_host_of_the_settings_is_answered(gateway: ScriptedUpstream) -> None:
    async with bridge_to(gateway.url, allowed_hosts=["Laptop.Example:1234"]) as served:
        assert (await served.client.get("/v1/models", headers={"host": "laptop.example:1234"})).status_code == 200
        assert (await served.client.get("/v1/models", headers={"host": "laptop.example"})).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"authorization": f"Basic {TOKEN}"}],
    ids=["none", "bearer", "x-api-key", "basic"],
)
async def test_without_the_token_the_answer_says_who_writes_it(
    bridge: Bridge, gateway: ScriptedUpstream, headers: dict[str, str]
) -> None:
    async with httpx.AsyncClient(base_url=bridge.url, trust_env=False) as stranger:
        answer = await stranger.post("/v1/chat/completions", json=CHAT, headers=headers)
        assert answer.status_code == 401
        assert "bawn connect" in answer.json()["error"]["message"]
        assert (await stranger.get("/mcp", headers=headers)).status_code == 401
        assert (await stranger.get("/v1/nothing", headers=headers)).status_code == 401
    assert gateway.requests == []


async def test_the_token_may_come_as_x_api_key(bridge: Bridge) -> None:
    async with httpx.AsyncClient(base_url=bridge.url, trust_env=False) as client:
        assert (await client.get("/v1/models", headers={"x-api-key": TOKEN})).status_code == 200
        both = {"authorization": "Bearer something-else", "x-api-key": TOKEN}
        assert (await client.get("/v1/models", headers=both)).status_code == 200


async def test_the_gateway_gets_its_key_and_never_the_token(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    await bridge.client.post("/v1/chat/completions", json=CHAT, headers={"x-api-key": TOKEN, "cookie": "a=b"})
    headers = gateway.posts[0].headers
    assert headers["authorization"] == "Bearer bawn_test_key"
    assert TOKEN not in str(headers)
    assert "cookie" not in headers


async def test_the_status_page_needs_no_token_and_shows_no_secret(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    await bridge.client.get("/v1/models", headers={"host": "evil.example"})
    async with httpx.AsyncClient(base_url=bridge.url, trust_env=False) as browser:
        answer = await browser.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for shown in (gateway.url, "Reachable", "scripted", "forbidden", "bawn connect opencode", "bawn connect continue"):
        assert shown in answer.text
    assert TOKEN not in answer.text
    assert "bawn_test_key" not in answer.text


async def test_the_status_page_says_when_the_gateway_is_away(bridge: Bridge, gateway: ScriptedUpstream) -> None:
    await gateway.stop()
    answer = await bridge.client.get("/")
    assert answer.status_code == 200
    assert "Not reachable" in answer.text
    assert (await bridge.client.get("/ready")).status_code == 503
    assert (await bridge.client.get("/health")).status_code == 200
