"""The model server as a unit: it answers who has the token, and a decode loop that hangs is restarted."""

import json

URL = "http://127.0.0.1:8000"
UNIT = "bawn-model-server.service"


def completion(machine, token, url=URL, max_tokens=16):
    """An answer of some tokens; the body."""
    body = json.dumps({"model": "coder", "prompt": "Once upon a time", "max_tokens": max_tokens})
    return json.loads(
        machine.succeed(
            f"curl --silent --show-error --fail --max-time 120 --header 'Authorization: Bearer {token}'"
            f" --header 'Content-Type: application/json' --data '{body}' {url}/v1/completions"
        )
    )


def it_answers(machine, token, url=URL):
    """Tokens come, and are counted."""
    answer = completion(machine, token, url)
    assert answer["usage"]["completion_tokens"] >= 1, answer
    assert answer["choices"][0]["text"], answer


def it_asks_for_the_token(machine, token, url=URL):
    """Without it, or with another one, the answer is 401."""
    ask = f"curl --silent --output /dev/null --write-out '%{{http_code}}' --max-time 30 {url}/v1/models"
    assert machine.succeed(f"{ask} --header 'Authorization: Bearer {token}'") == "200"
    assert machine.succeed(ask) == "401"
    assert machine.succeed(f"{ask} --header 'Authorization: Bearer {token}x'") == "401"


def restarts(machine):
    """How often systemd has restarted the unit."""
    return int(machine.succeed(f"systemctl show --property=NRestarts --value {UNIT}"))


def frozen_it_is_restarted(machine, token, url=URL):
    """A process that turns no loop misses its watchdog; what replaces it answers."""
    before = restarts(machine)
    machine.succeed(f"systemctl kill --kill-whom=main --signal=STOP {UNIT}")
    machine.wait_until_succeeds(f"test $(systemctl show --property=NRestarts --value {UNIT}) -gt {before}", timeout=240)
    machine.wait_until_succeeds(f"systemctl is-active {UNIT}", timeout=120)
    it_answers(machine, token, url)


def its_journal_knows_nothing(machine, token, url=URL):
    """What is asked is in no log."""
    marker = "canary-of-the-scenario"
    body = json.dumps({"model": "coder", "prompt": marker, "max_tokens": 1})
    machine.succeed(
        f"curl --silent --fail --max-time 120 --header 'Authorization: Bearer {token}'"
        f" --header 'Content-Type: application/json' --data '{body}' {url}/v1/completions"
    )
    machine.succeed(f"journalctl --unit {UNIT} --output cat | grep --count .")
    machine.fail(f"journalctl --unit {UNIT} --output json | grep --count {marker}")


def run(machine, token):
    """All of it."""
    machine.wait_until_succeeds(f"systemctl is-active {UNIT}", timeout=300)
    it_answers(machine, token)
    it_asks_for_the_token(machine, token)
    its_journal_knows_nothing(machine, token)
    frozen_it_is_restarted(machine, token)
