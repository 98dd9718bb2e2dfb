"""`bawn doctor` on the real hosts: whatever is broken, it names the hop at which the chain breaks."""

import json
import shlex
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

import scenarios.tailnet
from support.hosts.tailnet import TailnetHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

WITHIN_S = 60
KEY = "/home/ada/.config/bawn/gateway.key"
BRIDGE = "systemctl --user --machine=ada@"
TAILSCALED = "/run/tailscale/tailscaled.sock"
TOKEN = "/home/ada/.config/bawn/bridge.token"
SECRETS = "/var/lib/bawn-secrets"
INDEX = "/var/lib/bawn-index"
WEIGHTS = "/var/lib/bawn-weights"
ANEW = ("systemctl restart bawn-gateway.service",)

Change = Callable[[TailnetHosts], None]


def on(host: str, *commands: str) -> Change:
    """Commands of root's on a host."""

    def change(hosts: TailnetHosts) -> None:
        hosts.machines[host].succeed(*commands)

    return change


def examined(hosts: TailnetHosts, host: str, *, deep: bool = False) -> dict[str, Any]:
    """What the doctor reports there: to the laptop's user, and to root on a server."""
    command = f"bawn doctor --json {'--deep' if deep else ''}"
    status, output = hosts.machines[host].execute(
        f"runuser -l ada -c {shlex.quote(command)}" if host == "ada" else command
    )
    report = json.loads(output)
    assert status == (0 if report["ok"] else 1)
    return report


def until_it_finds(
    hosts: TailnetHosts, host: str, expected: tuple[str, str] | None, *, deep: bool = False
) -> dict[str, Any]:
    """The report, once it names this hop and code (None: nothing wrong); the services notice a change in seconds."""
    until = time.monotonic() + WITHIN_S
    while True:
        report = examined(hosts, host, deep=deep)
        failure = report["failure"]
        found = None if failure is None else (failure["hop"], failure["code"])
        if found == expected or time.monotonic() > until:
            assert found == expected, failure
            return report


def log_out(hosts: TailnetHosts) -> None:
    scenarios.tailnet.log_out(hosts.laptop)


def join_again(hosts: TailnetHosts) -> None:
    scenarios.tailnet.join_laptop(hosts.headscale, hosts.laptop, "ada-laptop", again=True)


def expire_the_laptop(hosts: TailnetHosts) -> None:
    nodes = json.loads(hosts.headscale.succeed("headscale nodes list --output json"))
    number = next(node["id"] for node in nodes if node["given_name"] == "ada-laptop")
    hosts.headscale.succeed(f"headscale nodes expire --identifier {number}")


def allow_nothing_on_the_gateway(hosts: TailnetHosts) -> None:
    policy = json.loads(hosts.headscale.succeed("cat /etc/headscale/policy.json"))
    policy["grants"] = [grant for grant in policy["grants"] if "tag:gateway" not in grant["dst"]]
    del policy["tests"]  # which would refuse it
    hosts.headscale.write("/etc/headscale/policy.json", json.dumps(policy))
    hosts.headscale.succeed("systemctl reload headscale.service")
    hosts.laptop.wait_until_fails("tailscale status | grep --word-regexp gateway", timeout=30)


def allow_as_the_fleet_says(hosts: TailnetHosts) -> None:
    hosts.set_policy()
    hosts.headscale.succeed("systemctl reload headscale.service")


def revoke_the_keys_of_ada(hosts: TailnetHosts) -> None:
    hosts.gateway.succeed("bawn-keys list | awk '$3 == \"ada\" {print $1}' | xargs --max-args=1 bawn-keys revoke")


def give_ada_a_key(hosts: TailnetHosts) -> None:
    scenarios.tailnet.give_key(hosts.gateway, hosts.laptop, "ada")


def use_a_key_of_bob(hosts: TailnetHosts) -> None:
    key = hosts.gateway.succeed("bawn-keys add bob").split()[0]
    hosts.laptop.succeed(f"cp -p {KEY} {KEY}.own", f"printf %s {key} > {KEY}")


class Fault(NamedTuple):
    """How it comes about, how it goes, and which hop and code the doctor names on which host."""

    name: str
    inject: Change
    restore: Change
    found: dict[str, tuple[str, str]]


FAULTS = [
    # The model server takes its time to come back; most of the others are found before it is asked.
    Fault(
        "weights missing",
        on("gpu", f"mount -t tmpfs none {WEIGHTS}", "systemctl restart --no-block bawn-model-server.service"),
        on("gpu", f"umount {WEIGHTS}"),
        {"gpu": ("weights", "weights_missing")},
    ),
    Fault(
        "model server stopped",
        on("gpu", "systemctl stop bawn-model-server.service"),
        on("gpu", "systemctl start --no-block bawn-model-server.service"),
        {
            "gpu": ("model server", "unit_not_active"),
            "gateway": ("upstreams", "upstream_stopped"),
            "ada": ("model servers", "no_model_server"),
        },
    ),
    Fault(
        "bridge stopped",
        on("ada", f"{BRIDGE} stop bawn-bridge.service"),
        on("ada", f"{BRIDGE} start bawn-bridge.service"),
        {"ada": ("bridge", "bridge_stopped")},
    ),
    Fault(
        "another token than the bridge's",
        on("ada", f"mv {TOKEN} {TOKEN}.own", f"install -o ada -m 0600 /dev/null {TOKEN}", f"echo another > {TOKEN}"),
        on("ada", f"mv {TOKEN}.own {TOKEN}"),
        {"ada": ("bridge", "bridge_token_differs")},
    ),
    Fault(
        "laptop's tailscaled stopped",
        on("ada", "systemctl stop tailscaled.service"),
        on("ada", "systemctl start tailscaled.service"),
        {"ada": ("tailscaled", "tailscaled_absent")},
    ),
    Fault("laptop logged out", log_out, join_again, {"ada": ("tailscaled", "needs_login")}),
    Fault("laptop's key expired", expire_the_laptop, join_again, {"ada": ("tailscaled", "node_key_expired")}),
    Fault(
        "policy gives the laptop nothing",
        allow_nothing_on_the_gateway,
        allow_as_the_fleet_says,
        {"ada": ("tailnet policy", "gateway_not_visible")},
    ),
    Fault(
        "gateway's tailscaled stopped",
        on("gateway", "systemctl stop tailscaled.service"),
        on("gateway", "systemctl start tailscaled.service"),
        {"gateway": ("tailnet of the gateway host", "tailscaled_absent")},
    ),
    Fault(
        "names of the tailnet not asked for",
        on("ada", "tailscale set --accept-dns=false"),
        on("ada", "tailscale set --accept-dns=true"),
        {"ada": ("name of the gateway", "name_unknown")},
    ),
    Fault(
        "gateway stopped",
        on("gateway", "systemctl stop bawn-gateway.service"),
        on("gateway", "systemctl start bawn-gateway.service"),
        {
            "gateway": ("gateway service", "unit_not_active"),
            "ada": ("port of the gateway", "gateway_stopped"),
        },
    ),
    Fault("key revoked", revoke_the_keys_of_ada, give_ada_a_key, {"ada": ("key", "key_refused")}),
    Fault(
        "key of somebody else",
        use_a_key_of_bob,
        on("ada", f"mv {KEY}.own {KEY}"),
        {"ada": ("identity", "identity_mismatch")},
    ),
    Fault(
        "gateway's tailscaled can't be asked",
        on("gateway", f"mv {TAILSCALED} {TAILSCALED}.away"),
        on("gateway", f"mv {TAILSCALED}.away {TAILSCALED}"),
        {
            "gateway": ("tailnet of the gateway host", "tailscaled_absent"),
            "ada": ("identity", "identity_unknown"),
        },
    ),
    Fault(
        "index missing",
        on("gateway", f"mv {INDEX}/served/code {INDEX}/code.away"),
        on("gateway", f"mv {INDEX}/code.away {INDEX}/served/code"),
        {"gateway": ("index", "index_missing"), "ada": ("search", "search_failed")},
    ),
    Fault(
        "another token than the GPU host's",
        on("gateway", f"cp -p {SECRETS}/token-gpu {SECRETS}/own", f"echo another > {SECRETS}/token-gpu", *ANEW),
        on("gateway", f"mv {SECRETS}/own {SECRETS}/token-gpu", *ANEW),
        {"gateway": ("upstreams", "upstream_token_refused"), "ada": ("model servers", "upstream_token_refused")},
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_the_doctor_names_the_hop(hosts: TailnetHosts, fault: Fault) -> None:
    try:
        fault.inject(hosts)
        for host, expected in fault.found.items():
            until_it_finds(hosts, host, expected)
    finally:
        fault.restore(hosts)


def test_after_all_of_that_the_doctor_finds_nothing(hosts: TailnetHosts) -> None:
    with ThreadPoolExecutor() as pool:
        reports = list(pool.map(lambda host: until_it_finds(hosts, host, None, deep=True), ("gpu", "gateway", "ada")))
    for report in reports:
        assert len([hop for hop in report["hops"] if hop["state"] == "good"]) >= 4
