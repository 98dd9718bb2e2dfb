"""A rented pod of the fleet: joins by itself, serves the gateway and nobody else, and is gone when it ends."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import scenarios.tailnet
from support.hosts import golden_host
from support.hosts.pod import NODE, Pod
from support.hosts.site import SECRETS
from support.hosts.tailnet import TailnetHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

TOKEN = "a-token-of-the-pod"
SETTINGS = f"{golden_host.STORE}/bawn-gateway.json"
DROP_IN = "/etc/systemd/system/bawn-gateway.service.d/pod.conf"
HELLO = [{"role": "user", "content": "Say hello."}]
SAY_HELLO = json.dumps({"model": "coder", "max_tokens": 8, "temperature": 0, "messages": HELLO})


@pytest.fixture(scope="module")
def pod(hosts: TailnetHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """The team rents one: it is in the fleet, in the policy, and among the gateway's upstreams; then as before."""
    folder = Path(tmp_path_factory.mktemp("pod"))
    before = hosts.fleet.read_text(encoding="utf-8")
    of_gateway = json.loads(hosts.gateway.succeed(f"cat {SETTINGS}"))
    fleet = json.loads(before)
    fleet["nodes"][NODE] = {"role": "pod", "models": ["coder"], "vram_mib": 24576}
    pod = Pod(hosts, folder)
    try:
        put_in_force(hosts, json.dumps(fleet))
        golden_host.bawn("fleet", "render", hosts.fleet, "--node", "gateway", "--out", folder / "gateway")
        rendered = json.loads((folder / "gateway" / "gateway.json").read_text(encoding="utf-8"))
        upstream = next(one for one in rendered["upstreams"] if one["name"] == NODE)
        # bawn.gateway.upstreamTokenFiles.pod
        upstream["token_file"] = f"/run/credentials/bawn-gateway.service/token-{NODE}"
        hosts.gateway.write(DROP_IN, f"[Service]\nLoadCredential=token-{NODE}:{SECRETS}/token-{NODE}\n")
        hosts.gateway.write(f"{SECRETS}/token-{NODE}", TOKEN, mode=0o600)
        serve_from(hosts, [*of_gateway["upstreams"], upstream])
        hosts.headscale.succeed(f"bawn fleet render /etc/bawn/fleet.json --node {NODE} --out /run/pod")
        settings = hosts.headscale.succeed("cat /run/pod/model-server.json")
        pod.start(settings, scenarios.tailnet.make_key(hosts.headscale, NODE), TOKEN)
        yield pod
    finally:
        pod.machine.close()
        put_in_force(hosts, before)
        hosts.gateway.succeed(f"rm -f {DROP_IN}")
        serve_from(hosts, of_gateway["upstreams"])


def put_in_force(hosts: TailnetHosts, fleet: str) -> None:
    hosts.fleet.write_text(fleet, encoding="utf-8")
    hosts.headscale.write("/etc/bawn/fleet.json", fleet)
    hosts.set_policy()
    hosts.headscale.succeed("bawn fleet apply --yes", "systemctl reload headscale.service")


def serve_from(hosts: TailnetHosts, upstreams: list[dict[str, Any]]) -> None:
    settings = json.loads(hosts.gateway.succeed(f"cat {SETTINGS}"))
    hosts.gateway.write(SETTINGS, json.dumps(settings | {"upstreams": upstreams}))
    hosts.gateway.succeed("systemctl daemon-reload", "systemctl restart bawn-gateway.service")


def nodes_called_pod(hosts: TailnetHosts) -> list[dict[str, Any]]:
    listed = json.loads(hosts.headscale.succeed("headscale nodes list --output json"))
    return [node for node in listed if node["given_name"] == NODE]


def addresses_of(hosts: TailnetHosts) -> list[str]:
    """The pod's, of both versions."""
    (node,) = nodes_called_pod(hosts)
    return node["ip_addresses"]


def test_a_pod_is_tagged_and_needs_neither_privileges_nor_a_device(hosts: TailnetHosts, pod: Pod) -> None:
    (node,) = nodes_called_pod(hosts)
    assert node["pre_auth_key"]["ephemeral"]
    assert "tag:pod" in json.dumps(node)
    running = pod.machine.succeed("ps --no-headers -o uid,pid,comm -C tailscaled,bawn").split("\n")[:-1]
    assert {line.split()[2] for line in running} == {"tailscaled", "bawn"}
    for uid, pid, _ in map(str.split, running):
        assert uid != "0"
        pod.machine.succeed(f"test -c /dev/net/tun -a ! -e /proc/{pid}/root/dev/net/tun")
        assert int(pod.machine.succeed(f"awk '/^CapBnd:/ {{print $2}}' /proc/{pid}/status"), 16) == 0


def test_a_pod_serves_the_gateway_and_nobody_else(hosts: TailnetHosts, pod: Pod) -> None:
    addresses = addresses_of(hosts)
    assert len(addresses) == 2
    for address in addresses:
        scenarios.tailnet.until_it_connects(hosts.gateway, address, 8000)
    # Whatever listens on the pod's loopback is behind the same tailnet addresses.
    others = [22, 80, 8080, 8700, 9100]
    program = (golden_host.HERE / "listener.py").read_text(encoding="utf-8")
    pod.machine.write("/opt/test/listener.py", program)
    doors = " ".join(f"tcp:{port}" for port in others)
    pod.machine.succeed(f"systemd-run --quiet --unit=other python3 /opt/test/listener.py {doors} 127.0.0.1 ::1")
    pod.machine.wait_for_open_port(others[-1], "::1", timeout=20)
    served = [(address, 8000) for address in addresses]
    every = served + [(address, port) for address in addresses for port in others]
    below = [
        (hosts.networks.address(NODE, network), port) for network in hosts.networks.networks for port in (22, 8000)
    ]
    found = hosts.all_accepted({(source, "tcp"): every + below for source in ("gateway", "gpu", "ada", "bob")})
    assert {source: doors for (source, _), doors in found.items() if doors} == {"gateway": served}


def test_a_pod_reaches_nobody(hosts: TailnetHosts, pod: Pod) -> None:
    assert "gateway" in pod.tailscale("status")
    # Without a TUN device the only way out is through its tailscaled; this ends well once it is connected.
    tries = [f"nc {hosts.address(target)} {port} < /dev/null" for target, port in (("gateway", 8700), ("gpu", 22))]
    for connect in tries:
        hosts.laptop.succeed(f"timeout 10 tailscale {connect}")
    with ThreadPoolExecutor() as pool:
        for refused in [pool.submit(pod.tailscale, connect) for connect in tries]:
            with pytest.raises(AssertionError, match="failed with status"):
                refused.result()


def test_the_gateway_answers_with_the_pods_model_while_the_gpu_host_is_away(hosts: TailnetHosts, pod: Pod) -> None:
    url = f"http://{NODE}.tailnet.example.org:8000/v1/chat/completions"
    ask = f"curl --silent --max-time 120 --write-out '\\n%{{http_code}}' --data '{SAY_HELLO}'"
    assert hosts.gateway.succeed(f"{ask} {url}").endswith("\n401")
    answer, _, status = hosts.gateway.succeed(f"{ask} --header 'Authorization: Bearer {TOKEN}' {url}").rpartition("\n")
    assert status == "200"
    assert json.loads(answer)["choices"][0]["message"]["content"]

    hosts.gpu.succeed("systemctl stop bawn-model-server.service")
    try:
        assert hosts.chat(tokens=4)["lost"] == []
    finally:
        hosts.gpu.succeed("systemctl start bawn-model-server.service")


def test_a_pod_that_has_ended_is_gone_from_the_tailnet(hosts: TailnetHosts, pod: Pod) -> None:
    assert nodes_called_pod(hosts)
    assert NODE in hosts.gateway.succeed("tailscale status")
    pod.stop()
    names = "headscale nodes list --output json | jq --raw-output '.[].given_name'"
    hosts.headscale.wait_until_succeeds(f"! {names} | grep --line-regexp {NODE}", timeout=60)
    hosts.gateway.wait_until_succeeds(f"! tailscale status | grep --word-regexp {NODE}", timeout=60)
