"""The chain works through units alone, with the credentials and behind the firewalls that the hosts have."""

import pytest

from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

AS_ADA = "git -c user.name=ada -c user.email=ada@example.org"
PUSHED = "/var/lib/bawn-index/pushes/pushed"


def test_an_answer_streams_from_the_gpu_host_to_the_laptops_user(hosts: WiredHosts) -> None:
    told = hosts.chat(streams=4, tokens=24)
    assert told["asked"] == 4
    assert told["lost"] == []


def test_a_question_is_answered_with_the_places_in_the_indexed_code(hosts: WiredHosts) -> None:
    # The places come first; the model's words are not waited for.
    asking = f"(su {hosts.PERSON} -c \"bawn ask 'where are API keys hashed'\" || true) | head --lines=8"
    answer = hosts.laptop.succeed(asking, timeout=60)
    assert "bawn/gateway/auth/" in answer


def test_pushes_are_indexed_without_anybody_asking_though_they_come_fast(hosts: WiredHosts) -> None:
    found = "bawn search swift_number_{} --index /var/lib/bawn-index/served"
    for number in range(8):  # systemd's default is five starts in ten seconds, and then none any more
        hosts.gateway.succeed(
            f"cd /srv/git/app && echo 'def swift_number_{number}(): pass' > swift{number}.py && git add . && "
            f"{AS_ADA} commit -q -m 'A swift'"
        )
        hosts.gateway.wait_until_succeeds(found.format(number), timeout=60)


def test_a_push_is_reported_though_files_are_made_right_before_it(hosts: WiredHosts) -> None:
    # Both folders in one path unit: what happened in the first made systemd forget most of what happened in the second.
    push = f"git update-ref refs/heads/main $({AS_ADA} commit-tree -p HEAD -m again 'HEAD^{{tree}}')"
    watching = "systemctl show --property=SubState --value 'bawn-push@*.path' | grep --count waiting"
    hosts.gateway.succeed("systemctl stop bawn-indexer.path bawn-indexer.timer bawn-indexer.service")
    try:
        for number in range(12):
            hosts.gateway.wait_until_succeeds(f'test "$({watching})" = 2', timeout=20)
            hosts.gateway.succeed(f"cd /srv/git/app && rm -f {PUSHED} && touch made{number} && {push}")
            hosts.gateway.wait_until_succeeds(f"test -e {PUSHED}", timeout=20)
    finally:
        hosts.gateway.succeed("systemctl start bawn-indexer.path bawn-indexer.timer")


def test_each_service_is_what_the_evaluated_host_says_it_is(hosts: WiredHosts) -> None:
    assert hosts.gateway.property_of("bawn-gateway.service", "User") == "bawn-gateway"
    assert hosts.gpu.property_of("bawn-model-server.service", "DynamicUser") == "yes"
    for machine, unit in ((hosts.gateway, "bawn-gateway.service"), (hosts.gpu, "bawn-model-server.service")):
        assert machine.property_of(unit, "Type") == "notify"
        assert machine.property_of(unit, "NRestarts") == "0"


def test_the_model_server_takes_the_gateways_token_and_no_other(hosts: WiredHosts) -> None:
    url = f"http://{hosts.address('gpu')}:8000/v1/models"
    status = "curl -s -o /dev/null -w '%{http_code}'"
    assert hosts.gateway.succeed(f"{status} {url}") == "401"
    assert hosts.gateway.succeed(f"{status} -H 'Authorization: Bearer {'0' * 32}' {url}") == "401"
    assert hosts.gateway.succeed(f"{status} -H 'Authorization: Bearer {hosts.token}' {url}") == "200"


@pytest.mark.parametrize(
    ("host", "unit", "user"),
    [("gateway", "bawn-gateway.service", "nobody"), ("gpu", "bawn-model-server.service", "nobody")],
)
def test_a_credential_is_seen_by_its_service_and_by_no_other_user(
    hosts: WiredHosts, host: str, unit: str, user: str
) -> None:
    machine = hosts.machines[host]
    folder = f"/run/credentials/{unit}"
    assert hosts.token in machine.succeed(f"cat {folder}/*")
    machine.fail(f"su -s /bin/sh {user} -c 'cat {folder}/*'")
    pid = machine.property_of(unit, "MainPID")
    assert hosts.token not in machine.succeed(f"cat /proc/{pid}/cmdline /proc/{pid}/environ")
    assert hosts.token not in machine.journal()


OPEN = {"gateway": 8700, "gpu": 8000}


@pytest.mark.parametrize("host", OPEN)
def test_a_service_listens_on_the_tailnet_and_on_nothing_else(hosts: WiredHosts, host: str) -> None:
    machine, port = hosts.machines[host], OPEN[host]
    listening = machine.succeed(f"ss --no-header --listening --tcp --numeric 'sport = :{port}'").split()
    assert listening[3] == f"{hosts.address(host)}:{port}"
    tailnet, underlay = (hosts.address(host), port), [(hosts.underlay(host, version), port) for version in (4, 6)]
    assert hosts.accepted("headscale", [tailnet, *underlay]) == [tailnet]


LISTENER = """
import socket, sys, threading
for port in map(int, sys.argv[1:]):
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=lambda server=server: [server.accept() for _ in range(99)]).start()
"""


@pytest.mark.parametrize("host", ["headscale", "gateway", "gpu", "laptop"])
def test_the_firewall_lets_in_the_ports_of_the_role_even_where_something_listens_everywhere(
    hosts: WiredHosts, host: str
) -> None:
    machine = hosts.machines[host]
    # Where the service itself listens is looked at above.
    ports = [port for port in (9, 80, 443, 3478, 8000, 8700, 9100) if port != OPEN.get(host)]
    machine.write("/opt/test/listener.py", LISTENER)
    machine.succeed(f"systemd-run --quiet --unit=listener python3 /opt/test/listener.py {' '.join(map(str, ports))}")
    machine.wait_for_open_port(ports[-1], "127.0.0.1", timeout=20)
    own = [("127.0.0.1", port) for port in ports]
    assert hosts.accepted(host, own) == own
    addresses = [where(host, version) for where in (hosts.address, hosts.underlay) for version in (4, 6)]
    other = "gateway" if host != "gateway" else "laptop"
    open_ports = {"headscale": [443]}.get(host, [])
    found = hosts.accepted(other, [(address, port) for address in addresses for port in ports])
    machine.succeed("systemctl stop listener")
    assert found == [(address, port) for address in addresses for port in open_ports]
