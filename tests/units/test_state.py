"""A GPU host with state on disk: what was computed before its model server was stopped is not computed again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.hosts import tree
from support.hosts.site import SECRETS
from support.hosts.wired import WiredHosts

pytestmark = pytest.mark.timeout(300, func_only=True)

UNIT = "bawn-model-server.service"
FOLDER = "/var/lib/bawn-model-server"
KEY = f"{SECRETS}/state-key"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WiredHosts]:
    reason = tree.missing()
    if reason is not None:
        pytest.skip(reason)
    hosts = WiredHosts(Path(tmp_path_factory.mktemp("hosts")), gpu="gpu-with-state")
    hosts.gpu.write(KEY, "a key of the test", mode=0o600)
    try:
        hosts.start("gpu")
        hosts.gpu.wait_for_unit(UNIT, timeout=120)
        yield hosts
    finally:
        hosts.close()


def turn(hosts: WiredHosts, messages: list[dict[str, str]], say: str) -> int:
    """Ask, with the session so far; add question and answer to it, and return the tokens that were not computed."""
    messages.append({"role": "user", "content": say})
    body = {"model": "coder", "max_tokens": 8, "temperature": 0, "messages": messages}
    hosts.gpu.write("/opt/test/turn.json", json.dumps(body))
    told: dict[str, Any] = json.loads(
        hosts.gpu.succeed(
            f"curl --silent --fail --max-time 120 --header 'Authorization: Bearer {hosts.token}'"
            f" --data @/opt/test/turn.json http://{hosts.address('gpu')}:8000/v1/chat/completions",
            timeout=130,
        )
    )
    messages.append({"role": "assistant", "content": told["choices"][0]["message"]["content"]})
    return told["usage"]["prompt_tokens_details"]["cached_tokens"]


def test_a_session_goes_on_after_a_stop_and_a_start_and_only_with_the_key_that_it_was_kept_by(
    hosts: WiredHosts,
) -> None:
    session: list[dict[str, str]] = [{"role": "system", "content": "You are terse. " * 40}]
    turn(hosts, session, "Name a colour.")
    hosts.gpu.succeed(f"systemctl stop {UNIT}", timeout=90)
    assert hosts.gpu.property_of(UNIT, "Result") == "success"
    # Under systemd's /var/lib/private, where nobody but root comes; and for its owner alone even there.
    assert hosts.gpu.succeed(f"stat --format '%a' {FOLDER}/. {FOLDER}/*").split() == ["700", "600"]
    hosts.gpu.succeed(f"systemctl start {UNIT}", timeout=120)
    assert turn(hosts, session, "And another.") > 100

    hosts.gpu.succeed(f"systemctl stop {UNIT}", timeout=90)
    hosts.gpu.write(KEY, "another key", mode=0o600)
    hosts.gpu.succeed(f"systemctl start {UNIT}", timeout=120)
    assert turn(hosts, session, "And one more.") == 0
