"""The gateway host in its 2 GiB, with indexer, Meilisearch and SearXNG: a push is found, and no unit is killed."""

import json

REPOSITORY = "/srv/git/app"
UNITS = ("bawn-gateway", "meilisearch", "searx")


def make_repository(machine, files=200):
    """A repository of the fleet's with enough source to make the indexer work, and one function to look for."""
    machine.succeed(
        f"mkdir -p {REPOSITORY} && cd {REPOSITORY} && git init --quiet --initial-branch=main",
        f"cd {REPOSITORY} && for n in $(seq {files}); do mkdir -p part$n;"
        " for m in $(seq 40); do printf 'def part_%s_step_%s(value):\\n    return value * %s\\n\\n\\n' $n $m $m;"
        " done > part$n/steps.py; done",
        f"cd {REPOSITORY} && printf 'def settle_open_invoices(ledger):\\n    return ledger.settle()\\n' > ledger.py",
    )
    commit(machine, "Steps and the ledger")


def commit(machine, subject):
    """Commit everything in the repository."""
    as_ada = "git -c user.name=ada -c user.email=ada@example.org"
    machine.succeed(f"cd {REPOSITORY} && git add . && {as_ada} commit --quiet -m '{subject}'")


def index(machine):
    """A run of the indexer over the whole repository; one that a commit started half way may fail before it."""
    machine.wait_until_succeeds("systemctl start bawn-indexer.service", timeout=300)


def make_key(machine, person="ada"):
    """An API key of the gateway."""
    return machine.succeed(f"bawn-keys add {person}").split()[0]


def calling(url, key, tool, arguments):
    """The command that calls a tool over MCP."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    return (
        "curl --silent --show-error --fail --max-time 60 --header 'Accept: application/json'"
        f" --header 'Content-Type: application/json' --header 'Authorization: Bearer {key}'"
        f" --data '{json.dumps(body)}' {url}/mcp"
    )


def call_tool(machine, url, key, tool, arguments):
    """Text of a tool's answer."""
    result = json.loads(machine.succeed(calling(url, key, tool, arguments)))["result"]
    assert not result.get("isError"), result
    return "\n".join(part.get("text", "") for part in result["content"])


def it_finds_what_is_committed(machine, url, key):
    """A function is found by its words, and not before it was there."""
    found = call_tool(machine, url, key, "search_code", {"query": "settle open invoices"})
    assert "ledger.py" in found, found
    assert "refund.py" not in call_tool(machine, url, key, "search_code", {"query": "refund last payment"})


def a_push_is_found_without_a_timer(machine, url, key):
    """The watch on the branch starts the indexer, and the gateway sees the new index."""
    machine.succeed("systemctl stop bawn-indexer.timer")
    machine.succeed(f"printf 'def refund_last_payment(ledger):\\n    return ledger.undo()\\n' > {REPOSITORY}/refund.py")
    commit(machine, "Refunds")
    ask = calling(url, key, "search_code", {"query": "refund last payment"})
    machine.wait_until_succeeds(f"{ask} | grep --count refund.py", timeout=120)
    machine.succeed("systemctl start bawn-indexer.timer")


def strangers_are_refused(machine, url, key):
    """The tools want a key."""
    ask = (
        "curl --silent --output /dev/null --write-out '%{http_code}' --max-time 30 --header 'Accept: application/json'"
        ' --header \'Content-Type: application/json\' --data \'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}\''
    )
    assert machine.succeed(f"{ask} --header 'Authorization: Bearer {key}' {url}/mcp") == "200"
    assert machine.succeed(f"{ask} {url}/mcp") == "401"


def the_others_answer_on_loopback(machine):
    """Meilisearch and SearXNG are up and asked by nobody but this host; Meilisearch only with its key."""
    machine.wait_until_succeeds("curl --silent --fail --max-time 10 http://127.0.77.1:7700/health", timeout=120)
    machine.fail("curl --silent --fail --max-time 10 http://127.0.77.1:7700/indexes")
    machine.wait_until_succeeds("curl --silent --fail --max-time 10 http://127.0.0.1:8888/healthz", timeout=180)
    listening = machine.succeed("ss --tcp --listening --numeric --no-header '( sport = :7700 or sport = :8888 )'")
    assert {line.split()[3].rsplit(":", 1)[0] for line in listening.splitlines()} == {"127.0.77.1", "127.0.0.1"}, (
        listening
    )


def nothing_was_killed(machine):
    """Everything stayed within its cap; the peaks are printed."""
    machine.fail("journalctl --boot --dmesg --output cat | grep --count 'Out of memory'")
    for unit in (*UNITS, "bawn-indexer"):
        shown = machine.succeed(f"systemctl show --property=Result,MemoryPeak,MemoryMax,NRestarts {unit}.service")
        values = dict(line.split("=", 1) for line in shown.splitlines())
        print(f"{unit}: {values}")
        assert values["Result"] == "success", (unit, values)
        assert values["NRestarts"] == "0", (unit, values)


def run(machine, url="http://127.0.0.1:8700"):
    """All of it."""
    for unit in UNITS:
        machine.wait_until_succeeds(f"systemctl is-active {unit}.service", timeout=300)
    make_repository(machine)
    index(machine)
    key = make_key(machine)
    it_finds_what_is_committed(machine, url, key)
    strangers_are_refused(machine, url, key)
    a_push_is_found_without_a_timer(machine, url, key)
    the_others_answer_on_loopback(machine)
    nothing_was_killed(machine)
