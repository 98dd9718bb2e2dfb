"""A switch under load: the gateway becomes another generation while a laptop asks, and no request is lost."""

LOAD = "/run/bawn-load"


def give_index(gateway):
    """Something to search in a repository of the fleet's, and a run of the indexer: without one no gate passes."""
    as_ada = "git -c user.name=ada -c user.email=ada@example.org"
    gateway.succeed(
        "git init --quiet --initial-branch=main /srv/git/app",
        "cd /srv/git/app && echo 'def answer(): return 42' > answer.py && git add .",
        f"cd /srv/git/app && {as_ada} commit --quiet -m Answer",
    )
    gateway.wait_until_succeeds("systemctl start bawn-indexer.service", timeout=120)


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


def start_load(laptop, person, clients=4):
    """Clients that ask one small question after the other, through the bridge; each writes down every status."""
    token = laptop.succeed(f"cat /home/{person}/.config/bawn/bridge.token").strip()
    body = '{"model": "coder", "prompt": "Count:", "max_tokens": 4}'
    ask = (
        "curl --silent --output /dev/null --write-out '%{http_code}\\n' --max-time 120"
        f" --header 'Authorization: Bearer {token}' --header 'Content-Type: application/json'"
        f" --data '{body}' http://127.0.0.1:8080/v1/completions"
    )
    laptop.succeed(
        f"mkdir -p {LOAD}",
        f"cat > {LOAD}/client <<'END'\nwhile [ ! -e {LOAD}/stop ]; do\n  {ask} >> {LOAD}/status.$1 || true\ndone\nEND",
        *(f"systemd-run --quiet --unit=load-{n} bash {LOAD}/client {n}" for n in range(clients)),
    )
    for n in range(clients):
        laptop.wait_until_succeeds(f"test $(wc --lines < {LOAD}/status.{n}) -ge 2", timeout=120)


def answered(laptop):
    """How many requests have ended."""
    return int(laptop.succeed(f"cat {LOAD}/status.* | wc --lines"))


def switch(gateway, generation):
    """Switch to another generation, which restarts the gateway's unit."""
    before = gateway.succeed("systemctl show --property=MainPID --value bawn-gateway.service").strip()
    gateway.succeed(f"{generation}/bin/switch-to-configuration test")
    gateway.wait_until_succeeds("systemctl is-active bawn-gateway.service", timeout=120)
    after = gateway.succeed("systemctl show --property=MainPID --value bawn-gateway.service").strip()
    assert before != after, "the switch did not restart the gateway"


def no_request_was_lost(laptop, asked_before):
    """The clients went on after the switch, and every status is 200."""
    laptop.wait_until_succeeds(f"test $(cat {LOAD}/status.* | wc --lines) -ge {asked_before + 8}", timeout=180)
    laptop.succeed(f"touch {LOAD}/stop")
    laptop.wait_until_fails("systemctl is-active 'load-*'", timeout=150)
    statuses = laptop.succeed(f"sort {LOAD}/status.* | uniq --count").split()
    assert statuses[1::2] == ["200"], statuses


def run(gateway, gpu, laptop, person="ada"):
    """All of it, on a gateway host with the specialisation `next`."""
    gpu.wait_until_succeeds("systemctl is-active bawn-model-server.service", timeout=300)
    gateway.wait_until_succeeds("systemctl is-active bawn-gateway.service", timeout=120)
    give_index(gateway)
    give_key(gateway, laptop, person)
    start_load(laptop, person)
    asked = answered(laptop)
    switch(gateway, "/run/current-system/specialisation/next")
    no_request_was_lost(laptop, asked)
