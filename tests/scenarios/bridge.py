"""A laptop's bridge: it starts with a key, answers its user's programs, and refuses strangers and web pages."""

URL = "http://127.0.0.1:8080"


def without_a_key_there_is_no_bridge(laptop, person):
    """A user who has no key runs none, and that is no failure."""
    laptop.wait_for_unit("default.target", person)
    laptop.fail(f"systemctl --user --machine={person}@ is-active bawn-bridge.service")
    laptop.fail(f"systemctl --user --machine={person}@ is-failed bawn-bridge.service")
    laptop.fail(f"curl --silent --max-time 5 {URL}/health")


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


def token_of(laptop, person):
    """The token of this installation, which `bawn connect` writes into clients' configurations."""
    return laptop.succeed(f"cat /home/{person}/.config/bawn/bridge.token").strip()


def status(laptop, path, *options):
    """HTTP status of a request to the bridge, as a number."""
    words = " ".join(f"'{option}'" for option in options)
    command = f"curl --silent --output /dev/null --write-out '%{{http_code}}' --max-time 60 {words} {URL}{path}"
    return int(laptop.succeed(command))


def only_the_users_programs_are_answered(laptop, token):
    """With the token, and from no web page: each refusal beside the request that is answered."""
    with_token = ("--header", f"Authorization: Bearer {token}")
    assert status(laptop, "/v1/models", *with_token) == 200
    assert status(laptop, "/v1/models") == 401
    assert status(laptop, "/v1/models", "--header", "Authorization: Bearer guessed") == 401
    assert status(laptop, "/v1/models", *with_token, "--header", "Origin: https://example.com") == 403
    assert status(laptop, "/v1/models", *with_token, "--header", "Host: rebound.example.com") in (403, 421)


def it_listens_on_loopback_only(laptop):
    """Nothing but 127.0.0.1 has the port."""
    listening = laptop.succeed("ss --tcp --listening --numeric --no-header 'sport = :8080'")
    assert [line.split()[3] for line in listening.splitlines()] == ["127.0.0.1:8080"], listening


def ask(laptop, person, timeout_s=300):
    """An answer of the model, through bridge, gateway and model server."""
    return laptop.wait_until_succeeds(
        f"runuser -l {person} -c 'bawn ask --no-search \"Say hello.\"'", timeout=timeout_s
    )


def a_revoked_key_is_refused(gateway, laptop, person):
    """From the next request on, without a restart of anything."""
    for line in gateway.succeed("bawn-keys list").splitlines():
        gateway.succeed(f"bawn-keys revoke {line.split()[0]}")
    laptop.wait_until_fails(f"runuser -l {person} -c 'bawn ask --no-search hello'", timeout=60)


def run(gateway, gpu, laptop, person="ada"):
    """All of it."""
    gpu.wait_for_unit("bawn-model-server.service")
    gateway.wait_for_unit("bawn-gateway.service")
    without_a_key_there_is_no_bridge(laptop, person)
    give_key(gateway, laptop, person)
    only_the_users_programs_are_answered(laptop, token_of(laptop, person))
    it_listens_on_loopback_only(laptop)
    ask(laptop, person)
    a_revoked_key_is_refused(gateway, laptop, person)
