"""Policies before a real Headscale: its verdicts are ours, and none is refused because a node is not there."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bawn.fleet.checks import problems
from bawn.fleet.policy.evaluator import Evaluator, Identity
from bawn.fleet.policy.language import Grant, Policy, PolicyTest, parse_policy
from bawn.fleet.policy.rendering import encoded, render_policy
from bawn.fleet.reading import read_fleet, to_fleet
from bawn.fleet.schema import Fleet
from support.headscale import Headscale
from support.tailnet_binaries import tailnet_binaries

pytestmark = pytest.mark.timeout(120, func_only=True)  # the first to need them builds Headscale and Tailscale

TESTS = Path(__file__).parents[1]
OWN = TESTS / "unit" / "fleet" / "examples" / "own-gpu.toml"
SCRIPT = TESTS / "nix" / "golden" / "headscale" / "files" / "bawn-headscale-policy"

TAGS = ("tag:gateway", "tag:gpu", "tag:pod")
LOGINS = ("p0@example.org", "p1@example.org", "p2@example.org", "p3@")
EVERYBODY = (*LOGINS, "eve@example.org", *TAGS, "stranger")
OWNED = {"grants": [], "tagOwners": {tag: [] for tag in TAGS}}


@pytest.fixture(scope="module")
def tailnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headscale]:
    """A Headscale with nodes of everybody, of whom random fleets know some."""
    server = Headscale(tailnet_binaries(), tmp_path_factory.mktemp("headscale"))
    server.policy.write_text(json.dumps(OWNED), encoding="utf-8")
    with server.running():
        server.add_user("ops")
        for tag in TAGS:
            for number in (1, 2):
                server.add_node(f"{tag[4:]}-{number}", "ops", tag)
        for login in EVERYBODY:
            if "@" in login:
                name, _, domain = login.partition("@")
                server.add_user(name, login if domain else None)
                server.add_node(f"{name}-laptop", name)
        server.add_node("p0-desktop", "p0")
        yield server


@st.composite
def fleets_of_the_tailnet(draw: st.DrawFn) -> Fleet:
    """A fleet that can work, of people whom the tailnet has."""
    people = {
        f"k{number}": {"login": login, "ssh": draw(st.booleans())}
        for number, login in enumerate(draw(st.lists(st.sampled_from(LOGINS), min_size=1, unique=True)))
    }
    nodes: dict[str, Any] = {"headscale": {"role": "headscale"}}
    nodes |= {f"gateway-{n}": {"role": "gateway"} for n in range(draw(st.integers(1, 2)))}
    for n in range(draw(st.integers(1, 3))):
        nodes[f"serving-{n}"] = {"role": draw(st.sampled_from(["gpu", "pod"])), "models": ["m"]}
    for n, owner in enumerate(draw(st.lists(st.sampled_from(sorted(people)), max_size=4))):
        nodes[f"laptop-{n}"] = {"role": "laptop", "owner": owner, "gateway": "gateway-0"}
    data = {
        "name": "random",
        "tailnet": {"base_domain": "tailnet.example", "server_url": "https://join.example"},
        "people": people,
        "nodes": nodes,
        "models": {"m": {"file": "m.gguf", "size_mib": 1}},
    }
    fleet = to_fleet(data, origin="f")
    assert problems(fleet) == []
    return fleet


def more_grants(policy: Policy) -> st.SearchStrategy[list[Grant]]:
    """Grants that no fleet asks for, in all of the language that the evaluator knows."""
    names = ["*", "autogroup:member", "autogroup:tagged", *LOGINS, *policy.groups, *policy.tag_owners]
    aliases = st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)
    ports = st.sampled_from(["*", "443", "8000-8001", "tcp:22", "tcp:1-79", "udp:8700", "udp:*", "icmp:*", "47:*"])
    return st.lists(
        st.builds(Grant, src=aliases, dst=aliases, ip=st.lists(ports, min_size=1, max_size=2, unique=True)), max_size=2
    )


def verdicts(policy: Policy) -> list[PolicyTest]:
    """Our verdict of every pair of the tailnet, as tests that Headscale passes if it agrees."""
    evaluator = Evaluator(policy)
    known = [name for name in EVERYBODY if not name.startswith("tag:") or name in policy.tag_owners]
    tests: list[PolicyTest] = []
    for source in known:
        for protocol in ("tcp", "udp"):
            said: dict[bool, list[str]] = {True: [], False: []}
            for target in known:
                for port in (1, 21, 22, 23, 80, 443, 7999, 8000, 8001, 8699, 8700, 8701, 65535):
                    verdict = evaluator.allows(Identity.of(source), Identity.of(target), protocol, port)
                    said[verdict].append(f"{target}:{port}")
            tests.append(PolicyTest(src=source, proto=protocol, accept=said[True], deny=said[False]))
    return tests


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fleets_of_the_tailnet(), st.data())
def test_headscales_verdict_of_every_pair_is_ours(tailnet: Headscale, fleet: Fleet, data: st.DataObject) -> None:
    rendered = render_policy(fleet, "headscale")
    policy = msgspec.structs.replace(rendered, grants=[*rendered.grants, *data.draw(more_grants(rendered))])
    asked = tailnet.folder / "asked.json"
    tests = verdicts(policy)
    asked.write_bytes(encoded(msgspec.structs.replace(policy, tests=tests)))
    assert tailnet.refusal(asked) == ""

    # Had it said anything else of one of them, it would have told.
    test = data.draw(st.sampled_from(tests))
    text = data.draw(st.sampled_from([*test.accept, *test.deny]))
    granted = text in test.accept
    lie = PolicyTest(src=test.src, proto=test.proto, accept=[] if granted else [text], deny=[text] if granted else [])
    asked.write_bytes(encoded(msgspec.structs.replace(policy, tests=[lie])))
    told = "expected DENIED, got ALLOWED" if granted else "expected ALLOWED, got DENIED"
    assert f"{test.src} -> {text} ({test.proto}): {told}" in tailnet.refusal(asked)


class PolicyScript:
    """The script of Headscale's unit, as the evaluated NixOS host carries it, on a server of its own."""

    def __init__(self, folder: Path) -> None:
        self.server = Headscale(tailnet_binaries(), folder)
        self.in_force = self.server.policy
        self.wanted = folder / "wanted.json"
        deny_all = folder / "deny-all.json"
        deny_all.write_text('{"grants":[]}', encoding="utf-8")
        text = SCRIPT.read_text(encoding="utf-8")
        for ours, there in {
            "@headscale@/bin:@coreutils@/bin:@jq@/bin": str(self.server.program.parent),
            "@headscale.yaml@": str(self.server.config),
            "@policy.json@": str(deny_all),
            "/etc/headscale/policy.json": str(self.wanted),
            "/var/lib/headscale/policy.json": str(self.in_force),
        }.items():
            assert ours in text
            text = text.replace(ours, there)
        assert re.findall(r"@[a-z.-]+@", text) == ["@bash@"]
        self.script = folder / "bawn-headscale-policy"
        self.script.write_text(text, encoding="utf-8")

    def want(self, policy: Policy) -> None:
        self.wanted.write_bytes(encoded(policy))

    def run(self, moment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(self.script), moment], capture_output=True, text=True, timeout=60, check=False, env=os.environ
        )

    def apply(self, moment: str) -> Policy:
        """Run it, which must succeed without a word; the policy that is then in force."""
        done = self.run(moment)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return parse_policy(self.in_force.read_bytes(), origin="in force")


@pytest.fixture
def script(tmp_path: Path) -> PolicyScript:
    if shutil.which("jq") is None:
        pytest.skip("jq is not on PATH: install it to run the script of Headscale's unit")
    return PolicyScript(tmp_path)


FLEET = read_fleet(OWN)
POLICY = render_policy(FLEET, "headscale")
WIDE = msgspec.structs.replace(
    POLICY, grants=[*POLICY.grants, Grant(src=["group:assistant"], dst=["tag:gpu"], ip=["tcp:8000"])]
)


def names(policy: Policy) -> set[str]:
    """Whom its tests name."""
    texts = {text.rpartition(":")[0] for test in policy.tests for text in (*test.accept, *test.deny)}
    return texts | {test.src for test in policy.tests}


def test_nodes_that_have_not_joined_or_have_left_never_make_headscale_refuse_its_policy(script: PolicyScript) -> None:
    server = script.server
    script.want(POLICY)
    assert names(script.apply("start")) == set()
    with server.running():
        there: dict[str, int] = {}
        server.add_user("ops")
        server.add_user("ada", "ada@example.org")
        server.add_user("grace", "grace@example.org")
        for name, user, tag in (
            ("gateway", "ops", "tag:gateway"),
            ("ada-laptop", "ada", None),
            ("gpu", "ops", "tag:gpu"),
            ("grace-laptop", "grace", None),
        ):
            there[name] = server.add_node(name, user, tag)
            now = script.apply("reload")
            assert now.grants == POLICY.grants
            assert server.refusal(script.in_force) == ""
        assert now == POLICY

        server.ask("nodes", "delete", "--identifier", str(there["gpu"]), "--force")
        now = script.apply("reload")
        assert names(now) == names(POLICY) - {"tag:gpu"}
        assert server.refusal(script.in_force) == ""
    # A restart, too, begins with tests that hold.
    assert script.apply("start") == now
    server.log.unlink()
    with server.running():
        assert "tests failed" not in server.log.read_text(encoding="utf-8")


def test_a_policy_that_headscale_refuses_leaves_the_one_before_it_in_force(script: PolicyScript) -> None:
    server = script.server
    script.want(POLICY)
    script.apply("start")
    with server.running():
        server.add_user("ops")
        server.add_user("ada", "ada@example.org")
        server.add_node("ada-laptop", "ada")
        server.add_node("gpu", "ops", "tag:gpu")
        good = script.apply("reload")
        script.want(WIDE)
        done = script.run("reload")
        assert done.returncode == 1
        assert "refused, and the one before it stays in force" in done.stderr
        assert "ada@example.org -> tag:gpu:8000 (tcp): expected DENIED, got ALLOWED" in done.stderr
        assert "no IP addresses" not in done.stderr
        assert parse_policy(script.in_force.read_bytes(), origin="p") == good
    # Headscale itself would only warn at start, and use it.
    done = script.run("start")
    assert (done.returncode, "stays in force" in done.stderr) == (0, True)
    assert parse_policy(script.in_force.read_bytes(), origin="p") == good


@pytest.mark.parametrize(
    "wanted", ["{", '{"grants": [], "unknown": 1}', '{"grants": [{"src": ["tag:x"], "dst": ["*"]}]}']
)
def test_without_a_policy_before_it_a_refused_one_leaves_no_way_open(script: PolicyScript, wanted: str) -> None:
    script.wanted.write_text(wanted, encoding="utf-8")
    done = script.run("start")
    assert done.returncode == 0
    assert "no node reaches another" in done.stderr
    server = script.server
    assert server.policy.read_text(encoding="utf-8") == '{"grants":[]}'
    with server.running():
        server.add_user("ada", "ada@example.org")
        server.add_node("ada-laptop", "ada")
        open_ways = server.folder / "open.json"
        open_ways.write_text(
            '{"grants":[], "tests": [{"src": "ada@example.org", "accept": ["ada@example.org:22"]}]}', encoding="utf-8"
        )
        assert "expected ALLOWED, got DENIED" in server.refusal(open_ways)
