"""`bawn doctor` on a chain of real processes into which one fault at a time is put."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from bawn.chain.layout import bawn
from bawn.doctor.chain import chain_of
from bawn.doctor.machine import named
from bawn.doctor.telling import as_json
from bawn.doctor.walk import walk
from support import tiny_gguf
from support.chains import Front, index_repository, real_chain, scripted_chain
from support.indexes import repository
from support.local_api import local_api, status
from support.scripted_upstream import (
    Received,
    Reply,
    ScriptedUpstream,
    default_handler,
    json_reply,
    scripted_upstream,
)
from support.until import until_async
from support.whois import Tailscaled, node

pytestmark = pytest.mark.timeout(180)

Chain = tuple[Front, ScriptedUpstream]


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    code = repository(tmp_path / "code", {"limits.py": "def check_rate(key):\n    return key\n"})
    async with scripted_chain(tmp_path) as (front, upstream):
        await asyncio.to_thread(index_repository, front, code)
        yield front, upstream


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor that runs in this process looks at the chain's home, and at nothing of this machine's."""
    for name in ("XDG_CONFIG_HOME", "CONTINUE_GLOBAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BAWN_CONFIG", str(tmp_path / "config"))


async def doctor(front: Front, *roles: str, tailscaled: Path = Path("/nonexistent/tailscaled.sock")) -> dict[str, Any]:
    """The report on these roles of the chain."""
    layout = front.chain.layout
    files = {"laptop": layout.bridge_settings, "gateway": layout.gateway_settings}
    places = named([files[role] for role in roles or ("laptop",)], None)
    hops = chain_of(places, socket=tailscaled, project=front.home, deep=False)
    text = as_json(await walk(hops, roles=[place.role for place in places], version="test"))
    for secret in (layout.gateway_key, layout.model_token, layout.bridge_token):
        assert not secret.exists() or secret.read_text(encoding="utf-8").strip() not in text
    return json.loads(text)


async def fault(front: Front, *roles: str, **more: Path) -> tuple[str, str]:
    """Hop and code of the failure; every hop before it was good or is none of this machine's, none after it is."""
    report = await doctor(front, *roles, **more)
    assert not report["ok"], report
    states = [step["state"] for step in report["hops"]]
    failed = states.index("failed")
    assert states.count("failed") == 1
    assert set(states[failed + 1 :]) <= {"not_looked_at"}
    assert report["failure"]["mend"]
    return report["failure"]["hop"], report["failure"]["code"]


def rewrite(file: Path, **fields: Any) -> None:
    data = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**data, **fields}))


async def until_gateway_sees(front: Front, *, ready: bool) -> None:
    """Wait for the gateway's own checks of its model server."""
    url = f"http://127.0.0.1:{front.chain.ports.gateway}/ready"
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:

        async def sees() -> bool:
            with contextlib.suppress(httpx.TransportError):
                parts = (await client.get(url)).json()["parts"]
                return all(part["ok"] is ready for part in parts if part["name"] != "index")
            return False

        await until_async(sees)


async def connect(front: Front) -> Path:
    run = await asyncio.to_thread(front.bawn, "connect", "opencode", "--bridge", front.url)
    assert run.returncode == 0, run.stderr
    return front.home / ".config" / "opencode" / "opencode.json"


async def test_a_good_chain_is_good_at_every_hop_and_a_token_comes_when_it_is_asked_for(
    chain: Chain,
) -> None:
    front, upstream = chain
    await until_gateway_sees(front, ready=True)
    await connect(front)
    report = await doctor(front, "laptop", "gateway")
    assert report["ok"], report
    unlooked = {step["hop"]: step["detail"] for step in report["hops"] if step["state"] == "not_looked_at"}
    assert unlooked.pop("an answer") == "--deep asks for one token"
    assert set(unlooked) == {
        "tailnet of the gateway host",
        "tailscaled",
        "tailnet policy",
        "name of the gateway",
    }
    assert not upstream.posts  # nothing that could have started a pod
    layout = front.chain.layout
    run = await asyncio.to_thread(front.bawn, "doctor", "--deep", "--settings", str(layout.bridge_settings))
    assert run.returncode == 0, run.stdout
    assert [post.json["max_tokens"] for post in upstream.posts] == [1]
    lines = run.stdout.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "✓ an answer" in run.stdout
    assert "\x1b" not in run.stdout
    assert lines[-1] == "Nothing is wrong as far as can be seen from here."


async def test_a_bridge_that_is_stopped(chain: Chain) -> None:
    await chain[0].chain.bridge.stop()
    assert await fault(chain[0]) == ("bridge", "bridge_stopped")


async def test_an_assistant_with_another_token_or_for_another_bridge(
    chain: Chain,
) -> None:
    front, _ = chain
    config = await connect(front)
    good = config.read_text(encoding="utf-8")
    data = json.loads(good)
    data["provider"]["bawn"]["options"]["apiKey"] = "bawn_local_of-yesterday"
    config.write_text(json.dumps(data), encoding="utf-8")
    assert await fault(front) == ("assistants", "assistant_token_wrong")
    config.write_text(good.replace(f":{front.chain.ports.bridge}/", ":9/"), encoding="utf-8")
    assert await fault(front) == ("assistants", "assistant_elsewhere")
    config.write_text(good[:-9], encoding="utf-8")
    assert await fault(front) == ("assistants", "assistant_unreadable")


async def test_a_gateway_that_is_stopped(chain: Chain) -> None:
    front, _ = chain
    await front.chain.gateway.stop()
    assert await fault(front) == ("port of the gateway", "gateway_stopped")
    assert await fault(front, "laptop", "gateway") == (
        "gateway service",
        "gateway_stopped",
    )


async def test_a_key_that_is_wrong_or_revoked_and_a_bridge_that_has_an_older_one(
    chain: Chain,
) -> None:
    front, _ = chain
    layout = front.chain.layout
    key = layout.gateway_key.read_text(encoding="utf-8").strip()
    layout.gateway_key.write_text(key[:-4] + "AAAA", encoding="utf-8")
    assert await fault(front) == ("key", "key_refused")
    layout.gateway_key.write_text(key, encoding="utf-8")
    keys = ("--keys", str(layout.keys))
    revoked = await asyncio.to_thread(front.bawn, "keys", "revoke", key.split("_")[1], *keys)
    assert revoked.returncode == 0
    assert await fault(front) == ("key", "key_refused")
    added = await asyncio.to_thread(front.bawn, "keys", "add", "ada", *keys)
    layout.gateway_key.write_text(added.stdout, encoding="utf-8")
    assert await fault(front) == ("bridge to gateway", "bridge_outdated")
    layout.gateway_key.unlink()
    assert await fault(front) == ("settings of the bridge", "settings_wrong")


async def test_a_gateway_that_can_not_tell_who_calls_or_takes_this_machine_for_somebody_elses(
    chain: Chain, tmp_path: Path
) -> None:
    front, _ = chain
    socket, daemon = tmp_path / "t.sock", Tailscaled()
    # `bawn up` makes its key for this name.
    people = {"this-machine": {"login": "ada@example.org", "models": ["scripted"], "indexes": ["code"]}}
    people["bob"] = {"login": "bob@example.org"}
    await front.chain.gateway.stop()
    rewrite(front.chain.layout.gateway_settings, identity="key+tailnet", people=people, tailscaled_socket=str(socket))
    front.chain.gateway.start()
    await until_gateway_sees(front, ready=True)
    assert await fault(front) == ("identity", "identity_unknown")
    assert await fault(front, "gateway") == ("tailnet of the gateway host", "tailscaled_absent")
    async with daemon.running(socket):
        daemon.state = "NeedsLogin"
        assert await fault(front) == ("identity", "identity_unknown")
        assert await fault(front, "gateway") == ("tailnet of the gateway host", "needs_login")
        daemon.state = "Running"
        assert await fault(front) == ("identity", "node_not_allowed")
        for told, code in (
            (node("gpu", "", tags=["tag:gpu"]), "node_not_allowed"),
            (node("laptop", "eve@example.org"), "node_not_allowed"),
            (node("laptop", "bob@example.org"), "identity_mismatch"),
        ):
            daemon.nodes = {"127.0.0.1": told}

            async def is_told(code: str = code) -> bool:
                return await fault(front) == ("identity", code)

            await until_async(is_told)
        daemon.nodes = {"127.0.0.1": node("laptop", "ada@example.org")}

        async def is_well() -> bool:
            return (await doctor(front, "laptop", "gateway"))["ok"]

        await until_async(is_well)


async def test_a_model_server_that_is_stopped(chain: Chain) -> None:
    front, upstream = chain
    await upstream.stop()
    await until_gateway_sees(front, ready=False)
    assert await fault(front) == ("model servers", "no_model_server")
    assert await fault(front, "laptop", "gateway") == ("upstreams", "upstream_stopped")


async def test_a_model_server_that_answers_and_cannot_work(chain: Chain) -> None:
    front, upstream = chain
    for path, reply, code in (
        ("/health", json_reply({"state": "loading", "version": "1"}, 503), "model_loading"),
        ("/health", json_reply({"state": "degraded", "version": "1"}, 503), "upstream_unwell"),
        ("/v1/models", json_reply({"error": {"message": "no"}}, 401), "upstream_token_refused"),
        ("/v1/models", json_reply([]), "upstream_strange"),
        ("/health", Reply(hang=True), "upstream_unreachable"),
    ):

        def answer(request: Received, path: str = path, reply: Reply = reply) -> Reply:
            return reply if request.path == path else default_handler(request)

        upstream.handle(answer)
        assert await fault(front, "gateway") == ("upstreams", code)


async def test_a_model_server_that_refuses_the_gateways_token_is_named_on_the_laptop_too(chain: Chain) -> None:
    front, upstream = chain

    def refuses(request: Received) -> Reply:
        wrong = json_reply({"error": {"message": "wrong token"}}, 401)
        return wrong if request.path.startswith("/v1/") else default_handler(request)

    upstream.handle(refuses)
    await until_gateway_sees(front, ready=False)
    assert await fault(front) == ("model servers", "upstream_token_refused")


async def test_a_model_that_is_not_offered(chain: Chain) -> None:
    front, upstream = chain
    await until_gateway_sees(front, ready=True)
    config = await connect(front)
    good = config.read_text(encoding="utf-8")
    config.write_text(good.replace('"bawn/scripted"', '"bawn/of-last-week"'), encoding="utf-8")
    assert await fault(front) == ("model", "model_not_offered")
    config.write_text(good, encoding="utf-8")

    def none(request: Received) -> Reply:
        return json_reply({"object": "list", "data": []}) if request.path == "/v1/models" else default_handler(request)

    upstream.handle(none)

    async def forgotten() -> bool:
        return (await doctor(front))["failure"] is not None

    await until_async(forgotten, 60)
    assert await fault(front) == ("model", "no_model_allowed")


async def test_an_index_that_is_missing_or_empty(tmp_path: Path) -> None:
    async with scripted_chain(tmp_path) as (front, _):
        assert await fault(front, "laptop", "gateway") == ("index", "index_missing")
        assert await fault(front) == ("search", "search_failed")
        await asyncio.to_thread(
            index_repository,
            front,
            repository(tmp_path / "empty", {"x.bin": b"\0\1\2"}),
        )
        assert await fault(front) == ("search", "index_empty")


async def test_a_gateway_whose_settings_name_no_index(tmp_path: Path) -> None:
    async with scripted_chain(tmp_path) as (front, _):
        data = msgspec.json.decode(front.chain.layout.gateway_settings.read_bytes())
        del data["index_dir"]
        front.chain.layout.gateway_settings.write_bytes(msgspec.json.encode(data))
        await front.chain.gateway.stop()
        front.chain.gateway.start()
        await until_gateway_sees(front, ready=True)
        assert await fault(front, "laptop", "gateway") == (
            "search tools (MCP)",
            "search_off",
        )


async def test_a_server_without_search_tools_in_the_gateways_place(
    chain: Chain,
) -> None:
    front, _ = chain
    async with scripted_upstream() as plain:
        rewrite(front.chain.layout.bridge_settings, gateway_url=plain.url)
        await front.chain.bridge.stop()
        front.chain.bridge.start()

        async def answers() -> bool:
            return (await doctor(front))["failure"]["hop"] != "bridge"

        await until_async(answers, 60)
        assert await fault(front) == ("search tools (MCP)", "mcp_off")
        plain.handle(lambda _: Reply(hang=True))
        assert await fault(front) == ("gateway", "gateway_silent")


async def test_a_tailnet_that_is_not_joined_does_not_show_the_gateway_or_has_no_names(
    tmp_path: Path, chain: Chain
) -> None:
    front, _ = chain
    rewrite(
        front.chain.layout.bridge_settings,
        gateway_url="http://gateway.tailnet.invalid:8700",
    )
    socket = tmp_path / "t.sock"
    assert await fault(front, tailscaled=socket) == (
        "tailscaled",
        "tailscaled_absent",
    )
    for answer, expected in (
        (status("NeedsLogin"), ("tailscaled", "needs_login")),
        (status(Peer=None), ("tailnet policy", "gateway_not_visible")),
        (status(), ("name of the gateway", "name_unknown")),
    ):
        async with local_api(socket, answer):
            report = await doctor(front, tailscaled=socket)
        assert (report["failure"]["hop"], report["failure"]["code"]) == expected
        assert "SECRET" not in json.dumps(report)


async def test_settings_that_cannot_work_and_roles_that_are_not_here(
    chain: Chain,
) -> None:
    front, _ = chain
    rewrite(front.chain.layout.gateway_settings, aliases={"a": "b", "b": "a"})
    assert await fault(front, "gateway") == (
        "settings of the gateway",
        "settings_wrong",
    )
    for arguments in (("--role", "gpu"), ("--settings", str(front.home / "nope.json"))):
        run = await asyncio.to_thread(front.bawn, "doctor", *arguments)
        assert (run.returncode, run.stdout) == (2, "")
        assert run.stderr.startswith("bawn: ")


async def test_a_machine_on_which_nothing_is_set_up(tmp_path: Path, chain: Chain) -> None:
    front, _ = chain
    run = await asyncio.to_thread(front.run, ["env", f"BAWN_CONFIG={tmp_path / 'no'}", *bawn("doctor", "--json")])
    assert run.returncode == 1
    assert json.loads(run.stdout)["failure"]["code"] == "not_set_up"


async def test_one_machine_is_walked_from_assistant_to_index_and_the_cause_is_named_before_its_effects(
    tmp_path: Path,
) -> None:
    model = tiny_gguf.write(tmp_path / "tiny.gguf", successors=tiny_gguf.ALPHABET)
    async with real_chain(tmp_path, model, indexed=True) as front:
        up = ("--dir", str(front.chain.layout.root))
        good = await asyncio.to_thread(front.bawn, "doctor", "--deep", *up)
        assert good.returncode == 0, good.stdout
        assert "laptop, gateway, gpu" in good.stdout
        assert "✓ an answer" in good.stdout
        await front.chain.model_server.stop()
        bad = await asyncio.to_thread(front.bawn, "doctor", "--json", *up)
        assert bad.returncode == 1
        failure = json.loads(bad.stdout)["failure"]
        assert (failure["hop"], failure["code"]) == ("model server", "model_server_stopped")
        model.unlink()
        gone = await asyncio.to_thread(front.bawn, "doctor", "--json", *up)
        assert json.loads(gone.stdout)["failure"]["code"] == "weights_missing"
