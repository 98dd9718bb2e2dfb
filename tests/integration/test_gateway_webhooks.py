"""Deliveries of forges at a running gateway, and at a gateway process that is started again."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bawn.gateway.webhooks.forges import Forge
from support.deliveries import BODY, SECRET, delivery_headers
from support.gateway import captured_logs, running_gateway
from support.ports import free_port
from support.until import until_async

FORGES: list[Forge] = ["github", "gitlab", "gitea", "forgejo"]


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    (folder / "secret").write_text(f"{SECRET}\n")
    return {
        "secret_file": str(folder / "secret"),
        "trigger_file": str(folder / "pushed"),
        "deliveries_file": str(folder / "deliveries.json"),
        **more,
    }


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running_gateway("http://127.0.0.1:1", webhooks=settings(tmp_path)) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=20) as keyless:
            yield keyless


async def send(client: httpx.AsyncClient, forge: Forge, body: bytes = BODY, **more: str) -> httpx.Response:
    return await client.post(f"/webhooks/{forge}", content=body, headers=delivery_headers(forge, body, **more))


@pytest.mark.parametrize("forge", FORGES)
async def test_a_push_replaces_the_trigger_file_once(tmp_path: Path, client: httpx.AsyncClient, forge: Forge) -> None:
    answer = await send(client, forge)
    assert (answer.status_code, answer.content) == (202, b"")
    first = (tmp_path / "pushed").stat()
    again = await send(client, forge)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    assert (await send(client, forge, told="a fresh id for the same body")).status_code == 409
    assert (tmp_path / "pushed").stat() == first
    other = BODY.replace(b"main", b"next")
    assert (await send(client, forge, other, told="d2")).status_code == 202
    assert (tmp_path / "pushed").stat().st_ino != first.st_ino


async def test_one_delivery_that_comes_many_times_at_once_is_taken_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(send(client, "github") for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409, 409]


@pytest.mark.parametrize(
    ("forge", "headers", "body", "status"),
    [
        ("github", {}, BODY, 401),
        ("github", delivery_headers("github", secret="another secret entirely"), BODY, 401),
        ("github", delivery_headers("github"), BODY + b" ", 401),
        ("gitlab", delivery_headers("github"), BODY, 401),
        ("github", delivery_headers("gitea"), BODY, 401),
        ("bitbucket", delivery_headers("github"), BODY, 404),
        ("github", delivery_headers("github", event="ping"), BODY, 204),
        ("gitlab", delivery_headers("gitlab", event="Issue Hook"), BODY, 204),
        ("github", delivery_headers("github", b"ref=CANARY"), b"ref=CANARY", 400),
        ("github", delivery_headers("github", b'{"ref": 1}'), b'{"ref": 1}', 400),
        ("github", delivery_headers("github", b"[" * 90_000), b"[" * 90_000, 400),
        ("github", delivery_headers("github", b"x" * 1_048_577), b"x" * 1_048_577, 413),
    ],
)
async def test_what_is_no_signed_push_leaves_the_trigger_alone(
    tmp_path: Path, client: httpx.AsyncClient, forge: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    with captured_logs() as logged:
        answer = await client.post(f"/webhooks/{forge}", content=body, headers=headers)
    assert answer.status_code == status
    assert not (tmp_path / "pushed").exists()
    assert not (tmp_path / "deliveries.json").exists()
    assert '"surface":"webhook"' in logged.getvalue()
    for hidden in ("CANARY", SECRET):
        assert hidden not in logged.getvalue() + answer.text


async def test_an_endless_body_is_refused_before_it_ends(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(64):
            yield b"x" * 65536

    answer = await client.post("/webhooks/github", content=endless(), headers=delivery_headers("github"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


async def test_a_push_that_cannot_be_passed_on_may_be_sent_again(tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    told = settings(tmp_path, trigger_file=str(folder / "pushed"))
    async with running_gateway("http://127.0.0.1:1", webhooks=told) as gateway:
        folder.rmdir()
        folder.write_text("in the way")
        failed = await send(gateway.client, "github")
        assert (failed.status_code, failed.headers["retry-after"]) == (503, "60")
        folder.unlink()
        assert (await send(gateway.client, "github")).status_code == 202
    assert (folder / "pushed").exists()


async def test_a_gateway_without_webhooks_has_none_and_takes_only_the_forges_it_names(tmp_path: Path) -> None:
    async with running_gateway("http://127.0.0.1:1") as gateway:
        assert (await send(gateway.client, "github")).status_code == 404
    async with running_gateway("http://127.0.0.1:1", webhooks=settings(tmp_path, forges=["gitea"])) as gateway:
        assert (await send(gateway.client, "github")).status_code == 404
        assert (await send(gateway.client, "gitea")).status_code == 202
        assert (await gateway.client.get("/webhooks/gitea")).status_code == 405


@contextlib.asynccontextmanager
async def process(folder: Path) -> AsyncGenerator[tuple[httpx.AsyncClient, Path]]:
    port, file, log = free_port(), folder / "gateway.json", folder / "stderr"
    upstreams = [{"name": "gpu", "url": "http://127.0.0.1:1", "models": ["coder"]}]
    webhooks = {"secret_file": str(folder / "secret")}
    (folder / "secret").write_text(SECRET)
    file.write_text(json.dumps({"upstreams": upstreams, "port": port, "webhooks": webhooks}))
    with log.open("ab") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "bawn.cli", "gateway", "--settings", str(file)],
            stderr=stderr,
            env={"BAWN_STATE": str(folder / "state"), "PATH": "/usr/bin:/bin"},
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:

            async def answers() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return (await client.get("/health")).status_code == 200
                return False

            await until_async(answers)
            yield client, log
    finally:
        child.terminate()
        await asyncio.to_thread(child.wait, 20)


async def test_a_process_touches_its_file_and_refuses_the_replay_after_a_restart(tmp_path: Path) -> None:
    trigger = tmp_path / "state" / "pushed"
    async with process(tmp_path) as (client, _):
        assert (await send(client, "forgejo")).status_code == 202
        assert trigger.exists()
    trigger.unlink()
    async with process(tmp_path) as (client, log):
        assert (await send(client, "forgejo")).status_code == 409
        assert (await send(client, "forgejo", told="d2")).status_code == 409
        assert not trigger.exists()
    written = log.read_text()
    assert '"event":"push","forge":"forgejo"' in written
    assert "CANARY" not in written
    assert SECRET not in written
