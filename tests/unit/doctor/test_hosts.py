"""What the doctor says on a gateway host and on a GPU host, of real servers on loopback."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bawn.doctor.gateway_host import GatewayHost
from bawn.doctor.gpu_host import GpuHost
from bawn.doctor.hops import Fault, Hop
from bawn.doctor.machine import Place
from bawn.doctor.tailscaled import Status
from bawn.doctor.units import Unit
from bawn.doctor.upstreams import ask_upstream
from bawn.doctor.walk import Report, walk
from bawn.gateway.settings import UpstreamSettings
from support.local_api import local_api, status
from support.ports import free_port
from support.scripted_upstream import Received, Reply, default_handler, json_reply, scripted_upstream

READY = json_reply({"state": "ready", "version": "1"})


async def walked(hops: list[Hop]) -> Report:
    return await walk(hops, roles=["x"], version="1")


async def code(hops: list[Hop]) -> str:
    failure = (await walked(hops)).failure
    return "" if failure is None else failure.code


def written(file: Path, **settings: Any) -> Path:
    file.write_text(json.dumps(settings))
    return file


def gpu_host(tmp_path: Path, unit: Unit | None = None, **settings: Any) -> list[Hop]:
    weights = tmp_path / "m.gguf"
    if not weights.exists():
        weights.write_bytes(b"GGUF\x03\0\0\0")
    file = written(tmp_path / "model-server.json", **{"model": str(weights), "n_ctx": 4096, **settings})
    return GpuHost(Place("gpu", file, unit), tmp_path / "t.sock").hops()


async def test_a_gpu_host_is_good_where_its_model_server_lists_its_model(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token")
    async with scripted_upstream() as server:

        def answer(request: Received) -> Reply:
            if request.path == "/health":
                return READY
            known = request.headers.get("authorization") == "Bearer secret-token"
            return default_handler(request) if known else json_reply({}, 401)

        server.handle(answer)
        good = gpu_host(tmp_path, port=server.port, token_file=str(tmp_path / "token"))
        assert await code(good) == ""
        report = await walked(gpu_host(tmp_path, port=server.port, token_file=str(tmp_path / "none")))
        assert report.hops[-1].detail == "its token is for the service alone"
        (tmp_path / "token").write_text("another")
        assert (
            await code(gpu_host(tmp_path, port=server.port, token_file=str(tmp_path / "token"))) == "model_not_listed"
        )


async def test_what_keeps_a_gpu_host_from_serving_is_named(tmp_path: Path) -> None:
    async with scripted_upstream() as server:
        for answer, expected in (
            (json_reply({"state": "loading", "version": "1"}, 503), "model_loading"),
            (json_reply({"state": "degraded", "version": "1"}, 503), "model_server_unwell"),
            (json_reply({"status": "ok"}), "not_the_model_server"),
            (Reply(hang=True), "model_server_silent"),
        ):
            server.handle(lambda _, answer=answer: answer)
            assert await code(gpu_host(tmp_path, port=server.port)) == expected
    port = free_port()
    assert await code(gpu_host(tmp_path, port=port)) == "model_server_stopped"
    failed = Unit("bawn-model-server.service", "failed", "oom-kill", [])
    report = await walked(gpu_host(tmp_path, failed, port=port))
    assert report.failure is not None
    assert report.failure.wrong == "The unit bawn-model-server is failed (oom-kill)."
    (tmp_path / "m.gguf").write_bytes(b"<html>")
    assert await code(gpu_host(tmp_path, port=port)) == "weights_broken"
    assert await code(gpu_host(tmp_path, model=str(tmp_path / "none.gguf"))) == "weights_missing"
    assert await code(gpu_host(tmp_path, model="")) == "settings_wrong"
    assert await code(gpu_host(tmp_path, port="x")) == "settings_wrong"


async def test_settings_that_go_with_a_stopped_service_leave_the_word_to_its_unit(tmp_path: Path) -> None:
    away, socket = tmp_path / "run" / "settings.json", tmp_path / "t.sock"
    gateway = Place("gateway", away, Unit("bawn-gateway.service", "inactive", "success", []))
    gpu = Place("gpu", away, Unit("bawn-model-server.service", "activating", "exit-code", []))
    for hops, hop in (
        (GatewayHost(gateway, socket).hops_of_service, "gateway service"),
        (GpuHost(gpu, socket).hops, "model server"),
    ):
        async with local_api(socket, status()):
            failure = (await walked(hops())).failure
            assert failure is not None
            assert (failure.hop, failure.code) == (hop, "unit_not_active")
        # A service that waits for its address in the tailnet is not what is broken.
        async with local_api(socket, status("NeedsLogin")):
            assert await code(hops()) == "needs_login"
    running = Place("gateway", away, Unit("bawn-gateway.service", "active", "success", []))
    assert await code(GatewayHost(running, socket).hops_of_service()) == "settings_missing"


def gateway_host(tmp_path: Path, **settings: Any) -> GatewayHost:
    upstreams = [{"name": "gpu", "url": "http://127.0.0.1:1"}]
    keys = str(tmp_path / "keys.json")
    file = written(tmp_path / "gateway.json", **{"upstreams": upstreams, "keys_file": keys, **settings})
    return GatewayHost(Place("gateway", file), tmp_path / "t.sock")


async def test_a_host_whose_address_in_the_tailnet_has_changed_says_so(tmp_path: Path) -> None:
    async with local_api(tmp_path / "t.sock", status()):
        moved = gateway_host(tmp_path, host="100.64.0.8", port=free_port())
        assert await code(moved.hops_of_service()) == "address_moved"
        own = gateway_host(tmp_path, host="100.64.0.9", port=free_port())
        # No interface has the address here: the next hop fails, in one way or another; a network may answer for it.
        assert await code(own.hops_of_service()) in ("gateway_silent", "gateway_stopped", "not_the_gateway")
        assert await code(gpu_host(tmp_path, host="100.64.0.8")) == "address_moved"
    assert await code(gateway_host(tmp_path, host="100.64.0.9").hops_of_service()) == "tailscaled_silent"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://gpu.tailnet.invalid:8000", "upstream_name_unknown"),
        ("http://100.64.0.77:8000", "upstream_not_in_tailnet"),
    ],
)
async def test_a_model_server_that_the_tailnet_hides_or_no_name_leads_to(url: str, expected: str) -> None:
    with pytest.raises(Fault) as fault:
        await ask_upstream(UpstreamSettings(name="gpu", url=url), msgspec.convert(status(), type=Status))
    assert fault.value.code == expected


async def test_one_model_server_of_two_is_enough_and_a_model_that_it_should_have_is_missed(tmp_path: Path) -> None:
    async with scripted_upstream() as one:
        good, off = {"name": "one", "url": one.url}, {"name": "pod", "url": f"http://127.0.0.1:{free_port()}"}
        host = gateway_host(tmp_path, upstreams=[good, off])
        report = await walked([*host.hops_of_service()[:1], host.hops_of_use()[0]])
        assert report.ok
        assert report.hops[-1].detail == "one: scripted; pod: not ready"
        host = gateway_host(tmp_path, upstreams=[{**good, "models": ["scripted", "coder"]}])
        assert await code([*host.hops_of_service()[:1], host.hops_of_use()[0]]) == "upstream_model_missing"
