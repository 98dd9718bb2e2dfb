"""A gateway host whose index Meilisearch has: keys and who can read them, a server that is away, the host's memory."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

import scenarios.gateway
from support.golden import golden_files
from support.hosts import golden_host, third_party
from support.hosts.attacking import attacked, listen_outside, prepare
from support.hosts.machine import Machine, control_groups
from support.hosts.memory import Caps
from support.hosts.site import SECRETS
from support.hosts.wired import WiredHosts
from support.left_out import LEFT_OUT

pytestmark = pytest.mark.timeout(300, func_only=True)

GATEWAY = "gateway-with-meilisearch"
SERVER = "http://127.0.77.1:7700"
KEYS = "/run/bawn-search-keys"
SERVED = "/var/lib/bawn-index/served"
INDEXER = "bawn-indexer.service"
OF_BAWN = "where are API keys hashed"
STATUS = "curl --silent --output /dev/null --write-out '%{http_code}' --max-time 30"
MIB = 1024 * 1024

Ask = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def gateway(unstarted: WiredHosts) -> Machine:
    """The host, where the indexer runs when a test says so."""
    unstarted.start("gateway")
    unstarted.gateway.wait_for_unit("bawn-gateway.service", timeout=60)
    unstarted.gateway.succeed("systemctl stop bawn-indexer.timer bawn-indexer.path")
    return unstarted.gateway


@pytest.fixture(scope="module")
def url(unstarted: WiredHosts) -> str:
    """The gateway's."""
    return f"http://{unstarted.address('gateway')}:8700"


@pytest.fixture(scope="module")
def key(gateway: Machine) -> str:
    """A person's API key."""
    return scenarios.gateway.make_key(gateway)


@pytest.fixture(scope="module")
def ask(gateway: Machine, url: str, key: str) -> Ask:
    """What the tool `search_code` answers to a query."""

    def answer(query: str) -> dict[str, Any]:
        return json.loads(gateway.succeed(scenarios.gateway.calling(url, key, "search_code", {"query": query})))[
            "result"
        ]

    return answer


@pytest.fixture(scope="module")
def indexed(gateway: Machine) -> None:
    """Meilisearch has the repository, and the gateway knows."""
    gateway.succeed(f"systemctl start meilisearch {INDEXER}", timeout=200)


def text(answer: dict[str, Any]) -> str:
    return "\n".join(part["text"] for part in answer["content"])


def run_embedded(machine: Machine) -> None:
    """A run of the indexer as the generation of this host without Meilisearch has it."""
    script = golden_files()["gateway/files/bawn-index-run"]
    machine.write("/opt/test/embedded-run", golden_host.mapped(script), mode=0o755)
    golden_host.override(machine, INDEXER, "[Service]\nExecStart=\nExecStart=/opt/test/embedded-run\n")
    machine.succeed(f"systemctl daemon-reload; systemctl start {INDEXER}", timeout=120)
    machine.succeed(f"rm /etc/systemd/system/{INDEXER}.d/test.conf; systemctl daemon-reload")


def test_readers_keep_the_embedded_index_until_all_is_in_meilisearch(gateway: Machine, ask: Ask) -> None:
    run_embedded(gateway)
    gateway.succeed("systemctl stop meilisearch")
    gateway.fail(f"systemctl start {INDEXER}")
    assert "can't be reached" in gateway.journal(INDEXER)
    gateway.fail(f"test -e {SERVED}/index.json")
    assert "bawn/gateway/auth/" in text(ask(OF_BAWN)), "the embedded index is served"

    gateway.succeed(f"systemctl start meilisearch {INDEXER}", timeout=200)
    gateway.succeed(f"test -e {SERVED}/index.json -a -d {SERVED}/code/")
    assert "bawn/gateway/auth/" in text(ask(OF_BAWN)), "Meilisearch has it"


@pytest.mark.usefixtures("indexed")
def test_while_meilisearch_is_away_the_search_tools_say_so_and_the_rest_works(
    gateway: Machine, url: str, key: str, ask: Ask
) -> None:
    models = f"{STATUS} --header 'Authorization: Bearer {key}' {url}/v1/models"
    gateway.succeed("systemctl stop meilisearch")
    for _ in range(2):
        answer = ask(OF_BAWN)
        assert answer["isError"]
        assert f"Meilisearch can't be reached at {SERVER}" in text(answer)
        assert gateway.succeed(models) == "200"
        assert gateway.succeed(f"{STATUS} {url}/ready") == "503"
        gateway.succeed("systemctl restart bawn-gateway", timeout=60)
    gateway.succeed("systemctl start meilisearch")
    gateway.wait_until_succeeds(f"curl --silent --fail {SERVER}/health", timeout=30)
    assert "bawn/gateway/auth/" in text(ask(OF_BAWN)), "without a restart of the gateway"


@pytest.mark.usefixtures("indexed")
def test_a_meilisearch_that_is_killed_comes_back_with_its_index_and_keys(gateway: Machine, ask: Ask) -> None:
    before = gateway.succeed(f"sha256sum {KEYS}/*.key")
    made = gateway.property_of("bawn-search-register.service", "InvocationID")
    gateway.succeed("systemctl kill --signal=KILL meilisearch")
    gateway.wait_until_succeeds(f"curl --silent --fail {SERVER}/health", timeout=60)
    again = f'test "$(systemctl show --property=InvocationID --value bawn-search-register)" != {made}'
    gateway.wait_until_succeeds(f"{again} && systemctl is-active bawn-search-register", timeout=60)
    assert gateway.succeed(f"sha256sum {KEYS}/*.key") == before
    assert "bawn/gateway/auth/" in text(ask(OF_BAWN))
    gateway.succeed(f"systemctl start {INDEXER}", timeout=120)


def test_a_meilisearch_that_does_not_come_up_keeps_the_gateway_from_nothing(gateway: Machine, url: str) -> None:
    golden_host.override(gateway, "meilisearch.service", "[Service]\nExecStart=\nExecStart=/usr/bin/false\n")
    gateway.succeed("systemctl daemon-reload; systemctl restart --no-block meilisearch")
    gateway.wait_until_succeeds("test $(systemctl show --property=NRestarts --value meilisearch) -ge 1", timeout=30)
    gateway.succeed("systemctl restart bawn-gateway", timeout=30)
    assert gateway.succeed(f"{STATUS} {url}/health") == "200"
    gateway.succeed("rm /etc/systemd/system/meilisearch.service.d/test.conf; systemctl daemon-reload")
    gateway.succeed("systemctl restart meilisearch")
    gateway.wait_until_succeeds(f"curl --silent --fail {SERVER}/health", timeout=60)


@pytest.mark.usefixtures("indexed")
def test_a_new_master_key_makes_new_keys(gateway: Machine, ask: Ask) -> None:
    before = gateway.succeed(f"cat {KEYS}/code-search.key").strip()
    gateway.write(f"{SECRETS}/meilisearch-master-key", "another-master-key-of-the-tests", mode=0o600)
    gateway.succeed("systemctl restart meilisearch bawn-gateway", timeout=90)
    assert gateway.succeed(f"cat {KEYS}/code-search.key").strip() != before
    assert scoped(gateway, before, "POST", "/indexes/code/search") == "403"
    assert "bawn/gateway/auth/" in text(ask(OF_BAWN))
    gateway.succeed(f"systemctl start {INDEXER}", timeout=120)


def scoped(machine: Machine, key: str, method: str, path: str, body: str = "{}") -> str:
    """Status of a call of Meilisearch with a key."""
    headers = f"--header 'Authorization: Bearer {key}' --header 'Content-Type: application/json'"
    return machine.succeed(f"{STATUS} --request {method} {headers} --data '{body}' {SERVER}{path}")


@pytest.mark.usefixtures("indexed")
def test_each_key_may_do_what_its_unit_does_with_its_index(gateway: Machine) -> None:
    for index, other in (("code", "docs"), ("docs", "libraries"), ("libraries", "code")):
        gateway.succeed(f"test $(cat {KEYS}/{index}-*.key | wc --lines) = 2")
        search, writing = (gateway.succeed(f"cat {KEYS}/{index}-{who}.key").strip() for who in ("search", "indexer"))
        assert scoped(gateway, search, "POST", f"/indexes/{index}/search") == "200"
        assert scoped(gateway, search, "POST", f"/indexes/{other}/search") == "403"
        assert scoped(gateway, search, "POST", f"/indexes/{index}/documents", "[]") == "403"
        assert scoped(gateway, search, "DELETE", f"/indexes/{index}") == "403"
        assert scoped(gateway, writing, "POST", f"/indexes/{index}/documents", "[]") == "202"
        assert scoped(gateway, writing, "POST", f"/indexes/{other}/documents", "[]") == "403"
        for key in (search, writing):
            assert scoped(gateway, key, "GET", "/keys") == "403"


@pytest.mark.usefixtures("indexed")
def test_each_key_is_read_by_its_own_user_and_by_no_other(gateway: Machine) -> None:
    assert gateway.succeed(f"stat --format=%a {KEYS}/").strip() == "700"
    assert set(gateway.succeed(f"stat --format=%a {KEYS}/*.key").split()) == {"600"}
    golden_host.override(gateway, INDEXER, "[Service]\nType=exec\nExecStart=\nExecStart=/usr/bin/sleep infinity\n")
    gateway.succeed(f"systemctl daemon-reload; systemctl start {INDEXER}")
    users = {"bawn-indexer": "indexer", "bawn-gateway": "search"}
    for user, purpose in users.items():
        for owner, of in users.items():
            for index in ("code", "docs", "libraries"):
                reading = f"runuser -u {user} -- cat /run/credentials/{owner}.service/search-{index}"
                if user == owner:
                    assert gateway.succeed(reading) == gateway.succeed(f"cat {KEYS}/{index}-{of}.key")
                else:
                    gateway.fail(reading)
                gateway.fail(f"runuser -u {user} -- cat {KEYS}/{index}-{purpose}.key")
        gateway.fail(f"runuser -u {user} -- cat {SECRETS}/meilisearch-master-key")
    gateway.succeed(f"systemctl stop {INDEXER}; rm /etc/systemd/system/{INDEXER}.d/test.conf; systemctl daemon-reload")
    keys = gateway.succeed(f"cat {KEYS}/*.key").split()
    assert [key for key in keys if key in gateway.journal()] == []


@pytest.mark.usefixtures("indexed")
def test_from_inside_the_indexer_nothing_else_on_loopback_is_reached_and_no_key_but_its_own(gateway: Machine) -> None:
    listen_outside(gateway)
    prepare(gateway)
    others = [
        *(f"{KEYS}/code-{of}.key" for of in ("search", "indexer")),
        "/run/credentials/bawn-gateway.service/search-code",
        f"{SECRETS}/meilisearch-master-key",
    ]
    for file in others:
        gateway.succeed(f"test -s {file}")
    gateway.succeed("exec 3<>/dev/tcp/127.0.0.1/9", "exec 3<>/dev/tcp/127.0.77.1/7700")
    gateway.fail("timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.77.1/9'")
    found = attacked(gateway, INDEXER, "127.0.0.1", others)
    assert len(found) > 15
    assert [attack for attack, outcome in found.items() if outcome == "done"] == []
    gateway.succeed(f"systemctl start {INDEXER}", timeout=120)


@pytest.mark.usefixtures("indexed")
def test_everything_stays_within_its_cap_while_much_is_indexed_and_searched(
    gateway: Machine, ask: Ask, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    if "memory" not in control_groups():
        pytest.skip("memory limits of hosts are set through version 1 of control groups, which this machine has not")
    running = ["meilisearch.service", "bawn-gateway.service"]
    if third_party.searxng():
        running.append("searx.service")
    else:
        record_property(LEFT_OUT, f"the gateway host's memory is measured without SearXNG: {third_party.NO_SEARXNG}")
    caps = Caps(gateway, *running, "bawn-search-keys.service", "bawn-search-register.service", INDEXER)
    for unit in running:
        caps.restart(unit)
    caps.run("bawn-search-keys.service")
    caps.run("bawn-search-register.service")
    gateway.wait_for_unit("bawn-gateway.service", timeout=60)
    # Python's own library, and all that was indexed before, once more: without its report a run looks at every file.
    gateway.succeed(
        "cp --recursive /usr/lib/python3.13 /srv/git/app/library && find /srv/git/app/library -name '*.pyc' -delete",
        "rm -r /var/lib/bawn-index/work/reports",
    )
    scenarios.gateway.commit(gateway, "A library")
    caps.restart(INDEXER)
    asked, slowest = 0, 0.0
    while gateway.property_of(INDEXER, "ActiveState") == "activating":
        began = time.monotonic()
        assert "bawn/gateway/auth/" in text(ask(OF_BAWN))
        slowest = max(slowest, time.monotonic() - began)
        asked += 1
    units = [*caps.limits]
    with capsys.disabled():
        each = ", ".join(f"{unit} {caps.peak(unit) // MIB} of {caps.limits[unit] // MIB} MiB" for unit in units)
        print(f"\n  peaks of memory with Meilisearch: {caps.peak() // MIB} of 2048 MiB for the whole host; {each}")
        print(f"  {asked} questions meanwhile, the slowest {slowest:.1f} s")
    assert gateway.property_of(INDEXER, "Result") == "success"
    assert "library/" in text(ask("parse an e-mail message from a file"))
    assert asked > 5
    assert caps.killed() == 0
    for unit in units:
        assert 10 * MIB < caps.peak(unit) <= caps.limits[unit]
        assert caps.killed(unit) == 0


@pytest.mark.usefixtures("indexed")
def test_a_generation_without_meilisearch_goes_back_to_the_embedded_index(gateway: Machine, ask: Ask) -> None:
    run_embedded(gateway)
    assert gateway.succeed(f"cat {SERVED}/index.json"), "Meilisearch has it still"
    gateway.write("/etc/tmpfiles.d/bawn.conf", golden_files()["gateway/tmpfiles.conf"])
    gateway.succeed("systemd-tmpfiles --create --remove --exclude-prefix=/dev", "systemctl stop meilisearch")
    assert "bawn/gateway/auth/" in text(ask(OF_BAWN))
