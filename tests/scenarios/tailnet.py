"""The tailnet from nothing: Headscale, a gateway, a GPU host and two laptops; who reaches whom, and who doesn't.

The machines are the NixOS test driver's, or anything with its interface. Every deny stands beside an allow to the same
port of the same node, so that it can't pass because nothing listens there.

What needs more than such machines offer is in `tests/tailnet`, which starts from here: every pair and port of the fleet
with a listener on each, parts that are away, other addresses, a pod, and the doctor's faults.
"""

import json
import shlex

SERVER = "https://headscale.example.org"
DOMAIN = "tailnet.example.org"
SECRETS = "/var/lib/bawn-secrets"
TOKEN = "a-token-of-the-scenario"

# Who connects to what: laptops to the gateway, the gateway to the GPU host, the operator's laptop to port 22 of both.
ALLOWED = [
    ("ada", "gateway", 8700),
    ("bob", "gateway", 8700),
    ("gateway", "gpu", 8000),
    ("ada", "gateway", 22),
    ("ada", "gpu", 22),
]
DENIED = [
    ("gpu", "gateway", 8700),
    ("ada", "gpu", 8000),
    ("bob", "gpu", 8000),
    ("bob", "gateway", 22),
    ("gpu", "gateway", 22),
    ("bob", "gpu", 22),
    ("gateway", "gpu", 22),
]
CLOSED_BELOW = [("ada", "gateway", 8700), ("gateway", "gpu", 8000), ("ada", "gateway", 22)]


def start_headscale(headscale):
    """Headscale answers under its own name, and knows the people of the fleet."""
    headscale.wait_for_unit("headscale.service")
    headscale.wait_for_open_port(443)
    headscale.succeed("bawn fleet apply --yes")
    assert "Nothing to do." in headscale.succeed("bawn fleet apply")


def make_key(headscale, node, expiration="10m", again=False):
    """A key with which one machine joins as `node` of the fleet; `again` where another one has been it."""
    more = "--again" if again else ""
    return json.loads(headscale.succeed(f"bawn fleet join-key {node} --expiration {expiration} --json {more}"))["key"]


def short_lived_key(headscale, node):
    """A key that is good for a second, and when it is no more: seconds of Headscale's clock."""
    key = make_key(headscale, node, expiration="1s")
    return key, int(headscale.succeed("date +%s")) + 2


def join_server(headscale, machine, node, again=False):
    """Put the key where the operator puts it; the unit that waits for it joins the node."""
    write(machine, f"{SECRETS}/tailnet-auth-key", make_key(headscale, node, again=again))
    machine.succeed("systemctl restart --no-block tailscaled-autoconnect.service")
    machine.wait_until_succeeds("tailscale ip -4", timeout=120)


def try_to_join(machine, node, key, timeout_s=60):
    """What a person runs once on a laptop; why it did not join, empty when it did."""
    machine.wait_for_unit("tailscaled.service")
    write(machine, "/run/tailnet-auth-key", key)
    status, words = machine.execute(
        f"tailscale up --login-server={SERVER} --hostname={node} --shields-up"
        f" --auth-key=file:/run/tailnet-auth-key --timeout={timeout_s}s 2>&1"
    )
    machine.succeed("rm /run/tailnet-auth-key")
    return f"status {status}: {words}" if status else ""


def join_laptop(headscale, machine, node, again=False):
    """A laptop joins as `node` of the fleet, with a key of its own each time it is asked to; `again` as in `make_key`.

    What tailscaled did before may refuse the first time: it still tells of an older key, or its connections close (see
    `log_out`) and it registers twice by one key. That key may be used up then, and the node be there.
    """
    refused = ""
    for attempt in range(3):
        refused = try_to_join(machine, node, make_key(headscale, node, again=again or attempt > 0))
        if not refused:
            return
    raise AssertionError(refused)


def log_out(machine):
    """Leave the tailnet.

    Tailscale closes its own connections when its interface goes, at times the one by which it tells Headscale: the
    command fails then, and the machine is logged out all the same.
    """
    machine.execute("tailscale logout")


def refuse_an_expired_key(headscale, laptop, key, expired):
    """An expired key lets nobody in; the same laptop joins with a fresh one."""
    headscale.wait_until_succeeds(f"test $(date +%s) -gt {expired}", timeout=60)
    assert try_to_join(laptop, "bob-laptop", key, timeout_s=15)
    laptop.fail("tailscale ip -4")
    join_laptop(headscale, laptop, "bob-laptop")
    laptop.succeed("tailscale ip -4")


def write(machine, path, text):
    """A secret in a file of root's."""
    machine.succeed(f"install -D -m 0600 /dev/null {path} && printf %s '{text}' > {path}")


def reached(machines, tries):
    """Those of the tries (source, address, port) that connect; all at once, since a denied one waits till its end."""
    commands = {}
    for source, address, port in tries:
        attempt = f"timeout 2 bash -c ': < /dev/tcp/{address}/{port}'"
        commands.setdefault(source, []).append(f"({attempt} && echo {address} {port} >> /run/reached || true) &")
    for source, attempts in commands.items():
        script = f"rm -f /run/reached; {' '.join(attempts)} wait"
        run = 'systemd-run --quiet --unit=reach --collect --setenv=PATH="$PATH"'
        machines[source].succeed(f"{run} bash -c {shlex.quote(script)}")
    found = set()
    for source in commands:
        machines[source].wait_until_fails("systemctl is-active reach.service", timeout=60)
        lines = machines[source].succeed("cat /run/reached 2> /dev/null || true").splitlines()
        found |= {(source, address, int(port)) for address, port in (line.split() for line in lines)}
    return found


def until_it_connects(machine, address, port):
    """The first connections over a fresh tailnet may take seconds."""
    machine.wait_until_succeeds(f"timeout 2 bash -c ': < /dev/tcp/{address}/{port}'", timeout=120)


def check_reachability(machines, underlay=None):
    """Every allow, then every deny, each to a port that an allow has shown to answer.

    `machines` are named headscale, gateway, gpu, ada, bob. With `underlay`, their addresses below the tailnet, what the
    tailnet allows is closed there.
    """
    address = {name: machines[name].succeed("tailscale ip -4").strip() for name in ("gateway", "gpu")}
    for source, target, port in ALLOWED:
        until_it_connects(machines[source], address[target], port)
    shown = {(target, port) for _, target, port in ALLOWED}
    assert {(target, port) for _, target, port in DENIED} <= shown
    tries = [(source, address[target], port) for source, target, port in DENIED]
    works = set()
    if underlay is not None:
        tries += [(source, underlay[target], port) for source, target, port in CLOSED_BELOW]
        # The wire itself works: Headscale's port answers over it.
        works = {("ada", underlay["headscale"], 443)}
    found = reached(machines, [*tries, *works])
    assert found >= works
    assert found == works, f"the policy or the firewall denies these: {found - works}"


def remove_a_laptop(headscale, gateway, bob):
    """Taken out of the fleet, a laptop reaches nothing a second after `apply`; put back, it joins with a new key."""
    address = gateway.succeed("tailscale ip -4").strip()
    until_it_connects(bob, address, 8700)
    fleet = json.loads(headscale.succeed("cat /etc/bawn/fleet.json"))
    del fleet["nodes"]["bob-laptop"]
    write(headscale, "/run/without-bob.json", json.dumps(fleet))
    # It tries all the time, and writes down when it last came through.
    attempt = f"timeout 1 bash -c ': < /dev/tcp/{address}/8700' && date +%s.%N > /run/last"
    knock = f"while [ ! -e /run/enough ]; do {attempt} || true; done"
    bob.succeed(f'systemd-run --quiet --unit=knock --setenv=PATH="$PATH" bash -c {shlex.quote(knock)}')
    bob.wait_until_succeeds("test -e /run/last", timeout=20)
    applied = headscale.succeed("bawn fleet apply /run/without-bob.json --yes > /dev/null && date +%s.%N")
    bob.wait_until_fails(f"timeout 3 bash -c ': < /dev/tcp/{address}/8700'", timeout=60)
    bob.succeed("touch /run/enough")
    late_s = float(bob.succeed("cat /run/last")) - float(applied)
    assert late_s < 1, f"it still came through {late_s:.1f} s after the end of `apply`"
    join_laptop(headscale, bob, "bob-laptop")
    # WireGuard's first word to a gateway that doesn't know the node yet would be lost; the next comes after 5 s.
    gateway.wait_until_succeeds("tailscale status | grep --word-regexp bob-laptop", timeout=60)
    until_it_connects(bob, address, 8700)


def give_key(gateway, laptop, person):
    """An API key, made on the gateway and put where the person's bridge looks for it."""
    key = gateway.succeed(f"bawn-keys add {person}").split()[0]
    folder = f"/home/{person}/.config/bawn"
    laptop.succeed(
        f"install -d -o {person} /home/{person}/.config {folder}",
        f"install -o {person} -m 0600 /dev/null {folder}/gateway.key",
        f"printf %s '{key}' > {folder}/gateway.key",
        f"systemctl --user --machine={person}@ restart bawn-bridge.service",
    )
    laptop.wait_for_open_port(8080, "127.0.0.1")


def ask(laptop, person, timeout_s=300):
    """An answer of the model, through bridge, gateway and model server."""
    return laptop.wait_until_succeeds(
        f"runuser -l {person} -c 'bawn ask --no-search \"Say hello.\"'", timeout=timeout_s
    )


def run(headscale, gateway, gpu, ada, bob, underlay):
    """All of it, in the order in which a team sets it up; while one machine starts, something is tried with another."""
    machines = {"headscale": headscale, "gateway": gateway, "gpu": gpu, "ada": ada, "bob": bob}
    start_headscale(headscale)
    key, expired = short_lived_key(headscale, "bob-laptop")
    write(gateway, f"{SECRETS}/token-gpu", TOKEN)
    write(gpu, f"{SECRETS}/token", TOKEN)
    join_server(headscale, gateway, "gateway")
    join_server(headscale, gpu, "gpu")
    for machine, unit in ((gpu, "bawn-model-server"), (gateway, "bawn-gateway")):
        machine.succeed(f"systemctl restart --no-block {unit}.service")
    join_laptop(headscale, ada, "ada-laptop")
    refuse_an_expired_key(headscale, bob, key, expired)
    for machine, unit in ((gpu, "bawn-model-server"), (gateway, "bawn-gateway")):
        machine.wait_until_succeeds(f"systemctl is-active {unit}.service", timeout=300)
    check_reachability(machines, underlay)

    give_key(gateway, ada, "ada")
    ask(ada, "ada")

    # A node that was switched off comes back by itself: its key has been used up and isn't asked for again.
    gpu.shutdown()
    gpu.start()
    remove_a_laptop(headscale, gateway, bob)
    gpu.wait_until_succeeds("systemctl is-active bawn-model-server.service", timeout=300)
    check_reachability(machines)
    ask(ada, "ada")
