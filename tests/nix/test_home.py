"""`homeModules.bridge`: a systemd user unit on Linux, a launchd agent on macOS, from the same options."""

import re
from pathlib import Path
from typing import Any

import pytest

from support.exposure import verified
from support.nix import NIX_TESTS, evaluate

pytestmark = pytest.mark.timeout(300)

ON = '{ bawn.bridge = { enable = true; settings.gateway_url = "http://gateway.tailnet.example.org:8700"; }; }'
SHOWN = (
    "let c = home.config; in { inherit (c) assertions; packages = map (p: p.name) c.home.packages;"
    " services = c.systemd.user.services; agents = c.launchd.agents; }"
)


def home(system: str, module: str = ON) -> dict[str, Any]:
    """What the module sets, of home-manager's options."""
    return evaluate(f'let home = import {NIX_TESTS}/home.nix "{system}" {module}; in {SHOWN}')


def ini(unit: dict[str, dict[str, Any]]) -> str:
    """A unit's text, as home-manager writes it: a list is a key on several lines."""
    lines: list[str] = []
    for section, keys in unit.items():
        lines.append(f"[{section}]")
        for key, value in keys.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"{key}={str(each).lower() if isinstance(each, bool) else each}" for each in values]
    return "\n".join(lines) + "\n"


def test_who_does_not_enable_it_gets_nothing() -> None:
    off = home("x86_64-linux", "{ }")
    assert off == {"assertions": [], "packages": [], "services": {}, "agents": {}}


def test_on_linux_it_is_a_user_unit_with_the_sandbox_of_the_nixos_one(tmp_path: Path) -> None:
    found = home("x86_64-linux")
    assert all(assertion["assertion"] for assertion in found["assertions"])
    assert found["packages"] == [name for name in found["packages"] if name.startswith("bawn-bridge-")] != []
    assert found["agents"] == {}
    unit = found["services"].pop("bawn-bridge")
    assert found["services"] == {}
    assert unit["Install"] == {"WantedBy": ["default.target"]}
    assert unit["Unit"]["ConditionPathExists"] == "/home/ada/.config/bawn/gateway.key"
    command = re.fullmatch(
        r"/nix/store/\S+/bin/bawn bridge --settings /nix/store/\S+-bawn-bridge\.json --key-file (\S+)",
        unit["Service"]["ExecStart"],
    )
    assert command is not None
    assert command[1] == "/home/ada/.config/bawn/gateway.key"
    of_nixos = evaluate("flake.nixosConfigurations.laptop.config.systemd.user.services.bawn-bridge.serviceConfig")
    as_text = {key: " ".join(value) if isinstance(value, list) else value for key, value in of_nixos.items()}
    of_home = {
        key: " ".join(value) if isinstance(value, list) else value
        for key, value in unit["Service"].items()
        if key != "ExecStart"
    }
    assert of_home == {key: as_text[key] for key in of_home}
    assert as_text.keys() - of_home.keys() == {"ExecStart"}
    # Two lines: the second takes back a part of the first.
    assert unit["Service"]["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    text = re.sub(r"/nix/store/\S+/bin/bawn", "/bin/true", ini(unit))
    file = tmp_path / "bawn-bridge.service"
    file.write_text(text, encoding="utf-8")
    run = verified(file, user=True)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("system", ["aarch64-darwin", "x86_64-darwin"])
def test_on_macos_it_is_an_agent_that_launchd_keeps_alive(system: str) -> None:
    found = home(system)
    assert all(assertion["assertion"] for assertion in found["assertions"])
    assert found["services"] == {}
    agent = found["agents"].pop("bawn-bridge")
    assert found["agents"] == {}
    assert agent["enable"]
    program, *arguments = agent["config"]["ProgramArguments"]
    assert program.endswith("/bin/bawn")
    assert [arguments[0], arguments[1], arguments[3]] == ["bridge", "--settings", "--key-file"]
    assert arguments[4] == "/Users/ada/.config/bawn/gateway.key"
    assert (agent["config"]["RunAtLoad"], agent["config"]["KeepAlive"]) == (True, True)
    # The key is read and prompts pass: nothing that it makes is for others.
    assert agent["config"]["Umask"] == 0o077
