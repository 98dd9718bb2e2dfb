"""`bawn fleet apply` and `bawn fleet join-key` with a real Headscale, and a machine that joins with the key."""

import contextlib
import json
import os
import pty
import shlex
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bawn.cli.main import cli
from support.headscale import Headscale
from support.tailnet_binaries import tailnet_binaries
from support.until import until

pytestmark = pytest.mark.timeout(120, func_only=True)  # the first to need them builds Headscale and Tailscale

FLEET = """
name = "example"
models.coder = { file = "coder.gguf", size_mib = 100 }
[tailnet]
base_domain = "tailnet.example"
server_url = "https://headscale.example.org"
[people]
ada = { login = "ada@example.org", models = ["coder"] }
bob = { login = "bob@" }
[nodes]
headscale = { role = "headscale" }
gateway = { role = "gateway" }
gpu = { role = "gpu", models = ["coder"] }
pod = { role = "pod", models = ["coder"] }
ada-laptop = { role = "laptop", owner = "ada" }
bob-laptop = { role = "laptop", owner = "bob" }
"""
WITHOUT_BOB = "\n".join(line for line in FLEET.splitlines() if not line.startswith("bob"))
TAGS = ("tag:gateway", "tag:gpu", "tag:pod")
JOIN_TIMEOUT_S = 60


class Tailnet:
    """A server, and `bawn` as its operator runs it."""

    def __init__(self, headscale: Headscale, fleet: Path) -> None:
        self.headscale = headscale
        self.fleet = fleet

    def write(self, fleet: str) -> None:
        """Change the fleet."""
        self.fleet.write_text(fleet, encoding="utf-8")

    def bawn(self, command: str, *arguments: str) -> Result:
        """Run `bawn fleet COMMAND`."""
        where = ("--headscale", str(self.headscale.program), "--config", str(self.headscale.config))
        return CliRunner().invoke(cli, ["fleet", command, *where, str(self.fleet), *arguments])

    def key(self, node: str, *arguments: str) -> dict[str, Any]:
        """What `join-key --json` answers."""
        result = self.bawn("join-key", node, "--json", *arguments)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def names(self, of: str) -> list[str]:
        """Names of the users or nodes that Headscale has."""
        return sorted(entry.get("given_name", entry["name"]) for entry in self.headscale.ask(of, "list") or [])


@pytest.fixture
def stopped(tmp_path: Path) -> Tailnet:
    headscale = Headscale(tailnet_binaries(), tmp_path)
    policy = {"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}], "tagOwners": {tag: [] for tag in TAGS}}
    headscale.policy.write_text(json.dumps(policy), encoding="utf-8")
    tailnet = Tailnet(headscale, tmp_path / "fleet.toml")
    tailnet.write(FLEET)
    return tailnet


@pytest.fixture
def tailnet(stopped: Tailnet) -> Iterator[Tailnet]:
    with stopped.headscale.running():
        yield stopped


@contextlib.asynccontextmanager
async def machine(binaries: Path, folder: Path) -> AsyncIterator[list[str]]:
    """A real tailscaled without a network of its own; gives the beginning of `tailscale`'s command line."""
    folder.mkdir()
    socket, log = folder / "tailscaled.sock", folder / "tailscaled.log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [
                binaries / "tailscaled",
                *("--tun=userspace-networking", "--port=0", f"--statedir={folder}", f"--socket={socket}"),
            ],
            env=os.environ | {"TS_NO_LOGS_NO_SUPPORT": "true"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        await until(lambda: socket.exists() or daemon.poll() is not None, within_s=JOIN_TIMEOUT_S)
        assert daemon.poll() is None, log.read_text(encoding="utf-8")
        yield [str(binaries / "tailscale"), f"--socket={socket}"]
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)


def refusal(tailnet: Tailnet, tailscale: list[str], command: str) -> str:
    """Run the printed command on the machine; what it said when it failed, empty when the machine has joined.

    Only the server's address differs, since here it has no certificate; and no `sudo` is needed by whoever is root.
    """
    url = json.loads(tailnet.headscale.config.read_text(encoding="utf-8"))["server_url"]
    sudo, program, *arguments = shlex.split(command.replace("https://headscale.example.org", url))
    assert (sudo, program) == ("sudo", "tailscale")
    done = subprocess.run(
        [*tailscale, *arguments, "--accept-dns=false", f"--timeout={JOIN_TIMEOUT_S}s"],
        capture_output=True,
        text=True,
        timeout=2 * JOIN_TIMEOUT_S,
        check=False,
    )
    return done.stderr or "failed" if done.returncode else ""


def test_apply_shows_its_plan_does_it_and_does_nothing_the_second_time(tailnet: Tailnet) -> None:
    asked = tailnet.bawn("apply")
    assert asked.exit_code == 3
    assert "will create user ada (ada@example.org)\nwill create user bob (bob@)\n" in asked.stdout
    assert "there is nobody to ask; add --yes" in asked.stderr
    assert tailnet.names("users") == []

    done = tailnet.bawn("apply", "--yes")
    assert (done.exit_code, done.stderr) == (0, "")
    users = [(user["name"], user.get("email")) for user in tailnet.headscale.ask("users", "list")]
    assert users == [("ada", "ada@example.org"), ("bob", None)]

    again = tailnet.bawn("apply")
    assert again.exit_code == 0
    assert again.stdout.startswith("Nothing to do.\nada-laptop has not joined")


@pytest.mark.parametrize(("answer", "status", "users"), [("n", 3, []), ("y", 0, ["ada", "bob"])])
def test_on_a_terminal_apply_asks(tailnet: Tailnet, answer: str, status: int, users: list[str]) -> None:
    ours, terminal = pty.openpty()
    where = ("--headscale", str(tailnet.headscale.program), "--config", str(tailnet.headscale.config))
    try:
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "bawn.cli", "fleet", "apply", *where, str(tailnet.fleet)],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(ours)
    assert (done.returncode, done.stderr) == (status, "")
    assert "Do this? [y/N]" in done.stdout
    assert tailnet.names("users") == users


def test_the_policy_finds_everybody_that_apply_created(tailnet: Tailnet, tmp_path: Path) -> None:
    tailnet.bawn("apply", "--yes")
    tailnet.headscale.add_node("ada-laptop", "ada")
    tailnet.headscale.add_node("bob-laptop", "bob")
    policy = tmp_path / "asked.json"
    for login in ("ada@example.org", "bob@"):
        tests = [{"src": login, "accept": ["ada@example.org:22", "bob@:22"]}]
        policy.write_text(
            json.dumps({"grants": [{"src": [login], "dst": ["*"], "ip": ["*"]}], "tests": tests}), encoding="utf-8"
        )
        assert tailnet.headscale.refusal(policy) == ""


def test_who_leaves_goes_with_nodes_and_unused_keys_and_who_comes_is_added(tailnet: Tailnet) -> None:
    tailnet.bawn("apply", "--yes")
    tailnet.key("bob-laptop")
    tailnet.headscale.add_node("bob-laptop", "bob")
    tailnet.headscale.add_node("ada-laptop", "ada")
    tailnet.headscale.add_node("gateway", "ada", "tag:gateway")

    tailnet.write(WITHOUT_BOB.replace("[nodes]", 'cleo = { login = "cleo@example.org" }\n[nodes]'))
    done = tailnet.bawn("apply", "--yes")
    assert done.exit_code == 0, done.stderr
    assert tailnet.names("users") == ["ada", "cleo"]
    assert tailnet.names("nodes") == ["ada-laptop", "gateway"]
    assert tailnet.headscale.ask("preauthkeys", "list") is None


def test_a_node_that_the_fleet_does_not_know_is_removed_and_pods_stay(tailnet: Tailnet) -> None:
    tailnet.bawn("apply", "--yes")
    tailnet.headscale.add_node("pod", "ada", "tag:pod")
    tailnet.headscale.add_node("gateway", "ada")
    tailnet.headscale.add_node("elsewhere", "ada", "tag:gpu")
    shown = tailnet.bawn("apply", "--yes").stdout
    assert "it is of ada@example.org, and the fleet's gateway is of tag:gateway" in shown
    assert "If it is gpu and joined under another name" in shown
    assert tailnet.names("nodes") == ["pod"]
    assert tailnet.bawn("apply").stdout.startswith("Nothing to do.\n")


def test_a_machine_that_was_set_up_anew_takes_its_old_selfs_place(tailnet: Tailnet) -> None:
    tailnet.headscale.add_user("ops")
    tailnet.headscale.add_node("gpu", "ops", "tag:gpu")
    anew = tailnet.headscale.add_node("gpu", "ops", "tag:gpu")
    assert len(set(tailnet.names("nodes"))) == 2
    assert tailnet.bawn("apply", "--yes").exit_code == 0
    assert [(n["id"], n["given_name"]) for n in tailnet.headscale.ask("nodes", "list")] == [(anew, "gpu")]


@pytest.mark.parametrize(
    ("node", "tag", "ephemeral"),
    [("gateway", "tag:gateway", False), ("gpu", "tag:gpu", False), ("pod", "tag:pod", True)],
)
def test_the_key_of_a_server_is_tagged_and_used_once(tailnet: Tailnet, node: str, tag: str, *, ephemeral: bool) -> None:
    before = int(time.time())
    made = tailnet.key(node, "--expiration", "30m")
    assert (made["principal"], made["ephemeral"]) == (tag, ephemeral)
    (stored,) = tailnet.headscale.ask("preauthkeys", "list")
    assert stored["acl_tags"] == [tag]
    assert "user" not in stored
    assert "reusable" not in stored
    assert stored.get("ephemeral", False) == ephemeral
    assert 0 <= stored["expiration"]["seconds"] - before - 1800 < 60


async def test_a_laptop_joins_with_the_printed_command_once_leaves_with_the_fleets_node_and_comes_back(
    tailnet: Tailnet, tmp_path: Path
) -> None:
    binaries = tailnet_binaries()
    tailnet.bawn("apply", "--yes")
    told = tailnet.bawn("join-key", "ada-laptop")
    assert told.exit_code == 0
    assert told.stderr.startswith("On ada-laptop, once, until ")
    assert told.stderr.endswith(" UTC. Without sudo on macOS and Windows.\n")
    command = told.stdout.strip()
    assert command.startswith(
        "sudo tailscale up --login-server=https://headscale.example.org --hostname=ada-laptop --shields-up "
        "--auth-key=hskey-"
    )
    (stored,) = tailnet.headscale.ask("preauthkeys", "list")
    assert stored["user"]["email"] == "ada@example.org"
    assert "acl_tags" not in stored

    async with machine(binaries, tmp_path / "first") as tailscale, machine(binaries, tmp_path / "second") as thief:
        assert refusal(tailnet, tailscale, command) == ""
        (node,) = tailnet.headscale.ask("nodes", "list")
        assert (node["given_name"], node["user"]["name"]) == ("ada-laptop", "ada")
        assert "authkey already used" in refusal(tailnet, thief, command)
        assert tailnet.bawn("apply").stdout.startswith("Nothing to do.\n")

        refused = tailnet.bawn("join-key", "ada-laptop")
        assert refused.exit_code == 2
        assert "ada-laptop: has joined (100.64.0.1, " in refused.stderr
        assert tailnet.key("ada-laptop", "--again")["key"].startswith("hskey-")

        tailnet.write("\n".join(line for line in FLEET.splitlines() if not line.startswith("ada-laptop")))
        shown = tailnet.bawn("apply", "--yes").stdout
        assert "will expire join key id 2 of ada@example.org: nothing in the fleet joins with it" in shown
        assert "will remove node ada-laptop (id 1, 100.64.0.1)" in shown
        assert tailnet.names("nodes") == []

        tailnet.write(FLEET)
        # Nobody has told the machine that it was removed: `tailscale up` ends at once, and it joins a moment later.
        assert refusal(tailnet, tailscale, tailnet.key("ada-laptop")["command"]) == ""
        await until(lambda: tailnet.names("nodes") == ["ada-laptop"], within_s=JOIN_TIMEOUT_S)


async def test_an_unused_key_of_what_was_removed_lets_nobody_in_and_a_second_apply_has_nothing_to_do(
    tailnet: Tailnet, tmp_path: Path
) -> None:
    tailnet.bawn("apply", "--yes")
    pod, waiting = (tailnet.key(node, "--expiration", "7d") for node in ("pod", "ada-laptop"))
    tailnet.write("\n".join(line for line in FLEET.splitlines() if not line.startswith("pod")))
    asked = tailnet.bawn("apply")
    plan = "will expire join key id 1 of tag:pod: nothing in the fleet joins with it\n"
    assert asked.stdout.startswith(plan)
    assert tailnet.bawn("apply", "--yes").exit_code == 0
    assert tailnet.bawn("apply").stdout.startswith("Nothing to do.\n")
    login = f"sudo tailscale up --login-server={{}} --hostname=pod --auth-key={pod['key']}"
    async with machine(tailnet_binaries(), tmp_path / "late") as tailscale:
        assert "authkey expired" in refusal(tailnet, tailscale, login.format("https://headscale.example.org"))
        assert refusal(tailnet, tailscale, waiting["command"]) == ""


async def test_a_key_that_has_expired_lets_nobody_in(tailnet: Tailnet, tmp_path: Path) -> None:
    tailnet.bawn("apply", "--yes")
    command = tailnet.key("ada-laptop", "--expiration", "1s")["command"]
    (stored,) = tailnet.headscale.ask("preauthkeys", "list")
    await until(lambda: time.time() > stored["expiration"]["seconds"] + 1)
    async with machine(tailnet_binaries(), tmp_path / "late") as tailscale:
        assert "authkey expired" in refusal(tailnet, tailscale, command)
    assert tailnet.names("nodes") == []


def test_out_writes_the_key_alone_for_its_owner_alone_and_prints_no_key(tailnet: Tailnet, tmp_path: Path) -> None:
    file = tmp_path / "gpu.key"
    file.write_text("an old one, for everybody to read")
    file.chmod(0o644)
    result = tailnet.bawn("join-key", "gpu", "--out", str(file))
    assert result.exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    key = file.read_text(encoding="utf-8")
    assert key.startswith("hskey-auth-")
    assert key.count("\n") == 1
    assert "hskey" not in result.output
    as_json = tailnet.bawn("join-key", "gpu", "--out", str(file), "--json").stdout
    assert "hskey" not in as_json
    assert json.loads(as_json)["key_file"] == str(file)


@pytest.mark.parametrize("by_file", [False, True])
def test_the_command_for_a_server_puts_the_key_where_its_unit_looks(
    tailnet: Tailnet, tmp_path: Path, *, by_file: bool
) -> None:
    out = tmp_path / "gpu key"
    told = tailnet.bawn("join-key", "gpu", *(["--out", str(out)] if by_file else [])).stdout
    # What needs root and systemd is left out: the shell, the redirection and `install` are real.
    place = tmp_path / "secrets" / "tailnet-auth-key"
    command, _, restart = told.replace("/var/lib/bawn-secrets/tailnet-auth-key", shlex.quote(str(place))).partition(
        "&&"
    )
    assert restart.strip() == "sudo systemctl restart --no-block tailscaled-autoconnect.service"
    subprocess.run(["bash", "-c", command.replace("sudo ", "", 1)], check=True)
    assert place.read_text(encoding="utf-8").startswith("hskey-auth-")
    assert place.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothere"], "nothere: is no node of the fleet; nodes that join: ada-laptop, bob-laptop, gateway, gpu, pod."),
        (["headscale"], "headscale: has the role headscale, which is outside the tailnet"),
        (["ada-laptop"], "Headscale has no user for its owner, ada@example.org; run `bawn fleet apply` first."),
        (["gpu", "--expiration", "soon"], "--expiration: soon is no duration"),
        (["gpu", "--expiration", "8d"], "--expiration: 8d is longer than 7d, the most: "),
        (["gpu", "--expiration", "9999999h"], "--expiration: 9999999h is longer than 7d, the most: "),
        (["gpu", "pod"], "expected [FILE] NODE, one node at a time."),
        (["gpu", "--out", "/nowhere/key"], "--out: /nowhere/key: can't be written: No such file or directory."),
    ],
)
def test_a_key_that_cannot_be_made_says_why(tailnet: Tailnet, arguments: list[str], says: str) -> None:
    result = tailnet.bawn("join-key", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["apply"], ["join-key", "gpu"]])
def test_a_server_that_is_not_running_is_said_so(stopped: Tailnet, command: list[str]) -> None:
    result = stopped.bawn(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith("bawn: Headscale does not answer: see `systemctl status headscale` on its host.")
    assert len(result.stderr.splitlines()) == 1


def test_through_ssh_the_program_runs_on_the_host_that_is_named(
    tailnet: Tailnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In ssh's place: what sshd does with a command, the shell of the user at the other end.
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text('#!/bin/sh\ntest "$1" = -- && test "$2" = ops@headscale && exec sh -c "$3"\nexit 255\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    tailnet.write(FLEET.replace("bob =", '"b o\'b; exit" =').replace('owner = "bob"', 'owner = "b o\'b; exit"'))
    assert tailnet.bawn("apply", "--yes", "--remote", "ops@headscale").exit_code == 0
    assert tailnet.names("users") == ["ada", "bob"]
    elsewhere = tailnet.bawn("apply", "--remote", "-oProxyCommand=x")
    assert elsewhere.exit_code == 2
    assert "ssh -oProxyCommand=x: " in elsewhere.stderr
