"""A gateway host whose index is embedded by the model server of the GPU host, after each run of the indexer."""

import json
from typing import Any

import pytest

import scenarios.gateway
from support import tiny_embedder
from support.hosts import golden_host
from support.hosts.attacking import attacked, listen_outside, prepare
from support.hosts.machine import control_groups
from support.hosts.memory import Caps
from support.hosts.site import SECRETS
from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

GATEWAY = "gateway-with-embedder"
VECTORS = "/var/lib/bawn-index/served/vectors/code.sqlite"
EMBEDDER = "bawn-embedder.service"
QUESTION = "how is a key of the API hashed"
WEIGHTS = "/var/lib/bawn-weights/embedder.gguf"
SETTINGS = f"{golden_host.STORE}/bawn-model-server.json"


@pytest.fixture(scope="module")
def embedding(unstarted: WiredHosts, tmp_path_factory: pytest.TempPathFactory) -> WiredHosts:
    """Both hosts, the GPU host with a second model; what was indexed has been embedded."""
    hosts = unstarted
    model = tiny_embedder.write(tmp_path_factory.mktemp("weights") / "embedder.gguf", n_ctx=2048)
    hosts.gpu.write(WEIGHTS, model.read_bytes())
    settings = json.loads((hosts.gpu.root / SETTINGS.lstrip("/")).read_text(encoding="utf-8"))
    settings |= {"embedding_model": WEIGHTS, "embedding_alias": "embedder"}
    hosts.gpu.write(SETTINGS, json.dumps(settings))
    hosts.start("gpu", "gateway")
    hosts.gpu.wait_for_unit("bawn-model-server.service", timeout=120)
    hosts.gateway.wait_for_unit("bawn-gateway.service", timeout=60)
    hosts.gateway.succeed("systemctl stop bawn-indexer.timer bawn-indexer.path")
    run(hosts)
    return hosts


@pytest.fixture(scope="module")
def key(embedding: WiredHosts) -> str:
    """A person's API key."""
    return scenarios.gateway.make_key(embedding.gateway)


def run(hosts: WiredHosts) -> str:
    """A run of the indexer; what the embedder, which follows it, has said."""
    before = hosts.gateway.property_of(EMBEDDER, "InvocationID")
    hosts.gateway.succeed("systemctl start bawn-indexer.service", timeout=120)
    fresh = f'test "$(systemctl show --property=InvocationID --value {EMBEDDER})" != "{before}"'
    ended = f'test "$(systemctl show --property=ActiveState --value {EMBEDDER})" = inactive'
    hosts.gateway.wait_until_succeeds(f"{fresh} && {ended}", timeout=120)
    return hosts.gateway.journal(EMBEDDER)


def asked(hosts: WiredHosts, key: str, question: str = QUESTION) -> dict[str, Any]:
    """What the gateway's tool answers to a question; it keeps the vectors of those it has been asked."""
    url = f"http://{hosts.address('gateway')}:8700"
    calling = scenarios.gateway.calling(url, key, "search_code", {"query": question})
    return json.loads(hosts.gateway.succeed(calling))["result"]["structuredContent"]


def test_what_the_indexer_has_read_is_embedded_and_questions_are_too(embedding: WiredHosts, key: str) -> None:
    assert "texts embedded" in embedding.gateway.journal(EMBEDDER)
    answer = asked(embedding, key)
    assert answer["chunks"]
    assert "note" not in answer


def test_the_vectors_are_the_embedders_and_the_gateway_may_read_them(embedding: WiredHosts) -> None:
    told = embedding.gateway.succeed(f"stat --format='%U %G %a' {VECTORS}").strip()
    assert told == "bawn-indexer bawn-index 640"
    embedding.gateway.succeed(f"runuser -u bawn-gateway -g bawn-index -- cat {VECTORS} > /dev/null")
    embedding.gateway.fail(f"runuser -u bawn-gateway -g bawn-index -- touch {VECTORS}")


def test_while_the_model_server_is_off_words_answer_and_what_is_new_waits(embedding: WiredHosts, key: str) -> None:
    gateway = embedding.gateway
    embedding.gpu.succeed("systemctl stop bawn-model-server.service")
    try:
        answer = asked(embedding, key, "where is a request passed on")
        assert answer["chunks"]
        assert answer["note"] == "Ranked by words alone: the server for embeddings can't be reached."
        gateway.succeed("printf 'def settle():\\n    return 1\\n' > /srv/git/app/ledger.py")
        scenarios.gateway.commit(gateway, "A ledger")
        assert "1 files are left for the next run" in run(embedding)
        assert gateway.property_of(EMBEDDER, "Result") == "success"
    finally:
        embedding.gpu.succeed("systemctl start bawn-model-server.service", timeout=120)
    assert "1 texts embedded" in run(embedding)
    gateway.wait_until_succeeds("systemctl is-active bawn-gateway.service", timeout=10)


def test_from_inside_the_embedder_nothing_but_the_tailnet_is_reached(embedding: WiredHosts) -> None:
    gateway = embedding.gateway
    listen_outside(gateway)
    prepare(gateway)
    files = [f"{SECRETS}/token-gpu", f"{SECRETS}/tailnet-auth-key", "/var/lib/bawn-gateway/keys.json"]
    found = attacked(gateway, EMBEDDER, embedding.underlay("gateway"), files)
    assert len(found) > 15
    assert [attack for attack, outcome in found.items() if outcome == "done"] == []


def test_it_stays_within_its_cap(embedding: WiredHosts, capsys: pytest.CaptureFixture[str]) -> None:
    if "memory" not in control_groups():
        pytest.skip("memory limits of hosts are set through version 1 of control groups, which this machine has not")
    gateway = embedding.gateway
    caps = Caps(gateway, EMBEDDER)
    gateway.succeed(f"rm {VECTORS}")
    caps.run(EMBEDDER)
    with capsys.disabled():
        print(f"\n  peak of memory of {EMBEDDER}: {caps.peak(EMBEDDER) >> 20} of {caps.limits[EMBEDDER] >> 20} MiB")
    assert caps.killed(EMBEDDER) == 0
    assert "texts embedded" in gateway.journal(EMBEDDER).splitlines()[-1] or gateway.succeed(f"test -s {VECTORS}") == ""
