"""Several upstreams behind one gateway, some of them broken."""

import asyncio
from typing import Any

import pytest

from support.gateway import RunningGateway, captured_logs, running_gateway
from support.ports import free_port
from support.scripted_upstream import Die, Reply, chat_chunk, chat_steps, json_reply, scripted_upstream
from support.until import until, until_async

ASK = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}
BUSY = {"error": {"message": "busy", "code": "overloaded"}}


def _two(one: str, other: str, models: list[str] | None = None) -> dict[str, Any]:
    """The first is asked first, since equals take turns in the order of the settings; no checks come in between."""
    models = ["scripted"] if models is None else models
    upstreams = [{"name": f"u{n}", "url": url, "models": models} for n, url in enumerate((one, other))]
    return {"upstreams": upstreams, "health_interval_s": 60}


async def _ask(gateway: RunningGateway, **more: Any):
    return await gateway.client.post("/v1/chat/completions", json={**ASK, **more})


async def test_an_upstream_that_refuses_connections_is_passed_over():
    async with scripted_upstream() as up, running_gateway(**_two(f"http://127.0.0.1:{free_port()}", up.url)) as gateway:
        assert (await _ask(gateway)).status_code == 200
        assert (await _ask(gateway, stream=True)).text.endswith("data: [DONE]\n\n")
        assert len(up.posts) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_an_upstream_that_is_busy_or_loading_is_passed_over(status: int):
    async with scripted_upstream() as one, scripted_upstream() as other:
        one.script(json_reply(BUSY, status))
        async with running_gateway(**_two(one.url, other.url)) as gateway:
            assert (await _ask(gateway, stream=True)).status_code == 200
            assert (len(one.posts), len(other.posts)) == (1, 1)


async def test_an_upstream_that_dies_before_its_first_byte_is_passed_over():
    async with scripted_upstream() as one, scripted_upstream() as other:
        one.script(Reply(die_at_once=True))
        async with running_gateway(**_two(one.url, other.url)) as gateway:
            assert (await _ask(gateway, stream=True)).status_code == 200
            assert len(other.posts) == 1


async def test_a_keep_alive_socket_that_turns_out_dead_costs_nothing():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        up.script(Reply(steps=chat_steps(["x"]), close_after=True))
        for _ in range(5):
            assert (await _ask(gateway, stream=True)).text.endswith("data: [DONE]\n\n")
        assert len(up.posts) == 5


async def test_after_the_first_byte_nothing_is_repeated():
    async with scripted_upstream() as one, scripted_upstream() as other:
        one.script(Reply(steps=[chat_chunk({"content": "half"}), Die()]))
        async with running_gateway(**_two(one.url, other.url)) as gateway:
            answer = await _ask(gateway, stream=True)
            assert "half" in answer.text
            assert '"code":"upstream_broken"' in answer.text
            assert (len(one.posts), len(other.posts)) == (1, 0)


async def test_an_error_that_is_the_requests_fault_is_not_repeated():
    async with scripted_upstream() as one, scripted_upstream() as other:
        one.script(json_reply({"error": {"message": "bad"}}, 400))
        async with running_gateway(**_two(one.url, other.url)) as gateway:
            assert (await _ask(gateway)).json() == {"error": {"message": "bad"}}
            assert other.posts == []


async def test_when_all_are_busy_the_last_refusal_is_the_answer():
    async with scripted_upstream() as one, scripted_upstream() as other:
        one.script(json_reply(BUSY, 429, {"retry-after": "7"}))
        other.script(json_reply(BUSY, 429, {"retry-after": "9"}))
        async with running_gateway(**_two(one.url, other.url)) as gateway:
            answer = await _ask(gateway, stream=True)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
            assert answer.json() == BUSY
            other.script(Reply(die_at_once=True))
            one.script(json_reply(BUSY, 503))
            answer = await _ask(gateway)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0


async def test_when_none_can_be_reached_the_client_is_told_when_to_come_back():
    dead = f"http://127.0.0.1:{free_port()}"
    async with running_gateway(**_two(dead, dead)) as gateway:
        answer = await _ask(gateway, stream=True)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) > 0


async def test_the_upstream_with_least_to_do_is_asked():
    async with scripted_upstream() as one, scripted_upstream() as other:
        gate = asyncio.Event()
        for up in (one, other):
            up.script(Reply(steps=[chat_chunk({"content": "x"}), gate, *chat_steps([])]))
        async with running_gateway(**_two(one.url, other.url)) as gateway:
            asks = [asyncio.create_task(_ask(gateway, stream=True)) for _ in range(10)]
            await until(lambda: len(one.posts) + len(other.posts) == 10)
            assert (len(one.posts), len(other.posts)) == (5, 5)
            gate.set()
            assert {answer.status_code for answer in await asyncio.gather(*asks)} == {200}


async def test_an_upstream_that_fails_its_checks_is_asked_last_until_it_is_well_again():
    async with scripted_upstream() as one, scripted_upstream() as other:
        sick = True

        def health(request: Any) -> Reply:
            if request.method == "GET" and sick:
                return json_reply({"status": "loading"}, 503)
            if request.method == "GET":
                return json_reply({"data": [{"id": "scripted"}]})
            return Reply(steps=chat_steps(["x"]))

        one.handle(health)
        async with running_gateway(**{**_two(one.url, other.url), "health_interval_s": 0.02}) as gateway:
            await _until_part(gateway, "u0", ok=False)
            for _ in range(4):
                await _ask(gateway, stream=True)
            assert (len(one.posts), len(other.posts)) == (0, 4)
            sick = False
            await _until_part(gateway, "u0", ok=True)
            await _ask(gateway, stream=True)
            assert len(one.posts) == 1


async def test_servers_without_a_health_path_are_judged_by_their_models():
    def no_health(request: Any) -> Reply:
        return json_reply({}, 404) if request.path == "/health" else json_reply({"data": [{"id": "scripted"}]})

    async with scripted_upstream() as up:
        up.handle(no_health)
        async with running_gateway(up.url) as gateway:
            await _until_part(gateway, "u0", ok=True)


async def test_an_unknown_model_is_refused_with_the_known_names_and_is_not_recorded():
    async with scripted_upstream() as up, running_gateway(up.url, aliases={"default": "scripted"}) as gateway:
        with captured_logs() as logs:
            answer = await gateway.client.post("/v1/chat/completions", json={**ASK, "model": "CANARY-model"})
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "model_not_found"
        assert "default, scripted" in answer.json()["error"]["message"]
        assert '"error":"model_not_found"' in logs.getvalue()
        assert "CANARY" not in logs.getvalue()
        assert "CANARY" not in (await gateway.client.get("/metrics")).text


async def test_a_model_whose_upstream_was_never_reached_is_unavailable_and_then_served():
    port = free_port()
    async with running_gateway(f"http://127.0.0.1:{port}", health_interval_s=60) as gateway:
        answer = await _ask(gateway)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        async with scripted_upstream(port):
            assert (await _ask(gateway)).status_code == 200


async def test_a_model_goes_to_the_upstream_that_serves_it():
    def serving(name: str):
        def handler(request: Any) -> Reply:
            return json_reply({"data": [{"id": name}]} if request.method == "GET" else {"served": name})

        return handler

    async with scripted_upstream() as one, scripted_upstream() as other:
        one.handle(serving("chat"))
        other.handle(serving("embed"))
        async with running_gateway(one.url, other.url) as gateway:
            for name in ("embed", "chat", "embed"):
                answer = await gateway.client.post("/v1/chat/completions", json={**ASK, "model": name})
                assert answer.json() == {"served": name}


async def _until_part(gateway: RunningGateway, name: str, *, ok: bool) -> None:
    async def as_wanted() -> bool:
        parts = (await gateway.client.get("/ready")).json()["parts"]
        return {part["name"]: part["ok"] for part in parts}[name] == ok

    await until_async(as_wanted)


async def test_an_upstream_that_refuses_the_gateways_own_token_is_passed_over():
    async with scripted_upstream() as one, scripted_upstream() as other:
        one.script(json_reply({"error": {"message": "wrong token"}}, 401))
        async with running_gateway(**_two(one.url, other.url)) as gateway:
            assert (await _ask(gateway)).status_code == 200
            assert (len(one.posts), len(other.posts)) == (1, 1)


async def test_a_client_is_never_told_that_its_key_is_wrong_when_it_is_the_gateways():
    async with scripted_upstream() as up, running_gateway(up.url) as gateway:
        up.script(json_reply({"error": {"message": "wrong token"}}, 401))
        answer = await _ask(gateway, stream=True)
        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == "upstream_token_refused"
        assert "token_file" in answer.json()["error"]["message"]


async def test_an_upstream_that_restarts_costs_its_clients_time_and_no_error():
    port = free_port()
    upstreams = [{"name": "u0", "url": f"http://127.0.0.1:{port}", "models": ["scripted"]}]
    async with running_gateway(upstreams=upstreams, upstream_wait_s=30.0) as gateway:
        asking = [asyncio.create_task(_ask(gateway, stream=True)), asyncio.create_task(_ask(gateway))]
        await asyncio.wait(asking, timeout=0.5)
        assert not any(task.done() for task in asking), "nobody is there to answer yet"
        async with scripted_upstream(port=port):
            answers = await asyncio.gather(*asking)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].text.endswith("data: [DONE]\n\n")


async def test_autocomplete_does_not_wait_for_an_upstream_that_restarts():
    upstreams = [{"name": "u0", "url": f"http://127.0.0.1:{free_port()}", "models": ["scripted"]}]
    async with running_gateway(upstreams=upstreams, upstream_wait_s=30.0) as gateway:
        answer = await gateway.client.post(
            "/v1/fim/completions", json={"model": "scripted", "prompt": "a", "suffix": "b"}
        )
        assert answer.status_code == 503


async def test_a_request_that_an_upstream_dies_of_is_not_sent_for_ever():
    async with scripted_upstream() as up:
        upstreams = [{"name": "u0", "url": up.url, "models": ["scripted"]}]
        async with running_gateway(upstreams=upstreams, upstream_wait_s=30.0, health_interval_s=60) as gateway:
            for _ in range(8):
                up.script(Reply(die_at_once=True))
            assert (await _ask(gateway)).status_code == 503
            # Three times, each also over a fresh connection, since the first may have been dead already.
            assert len(up.posts) == 6
