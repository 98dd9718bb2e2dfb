"""Join keys where no Headscale is asked: tailnets that Tailscale runs, fleets that aren't there, and what is shown."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import bawn.cli.fleet_file
from bawn.cli.main import cli
from bawn.fleet.joining.keys import JoinKey

EXAMPLES = Path(__file__).parents[1] / "examples"
OWN = str(EXAMPLES / "own-gpu.toml")
MANAGED = str(EXAMPLES / "pods.toml")


def fleet(*args: str) -> Result:
    return CliRunner().invoke(cli, ["fleet", *args])


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (
            "lin-laptop",
            "invite lin@studio.example in the admin console, then `sudo tailscale up --hostname=lin-laptop`, w",
        ),
        ("gateway", "not reusable, pre-approved, tag tag:gateway. Then put it where gateway looks: /var/"),
        ("pod-large", "not reusable, ephemeral, pre-approved, tag tag:pod. Then put it where pod-large looks: BAWN_"),
    ],
)
def test_in_a_tailnet_that_tailscale_runs_it_says_what_to_do_there(node: str, says: str) -> None:
    result = fleet("join-key", MANAGED, node)
    assert result.exit_code == 2
    assert says in result.stderr


def test_apply_leaves_a_tailnet_that_tailscale_runs_to_its_console() -> None:
    result = fleet("apply", MANAGED, "--yes")
    assert result.exit_code == 2
    assert "tailnet.managed" in result.stderr


@pytest.mark.parametrize("arguments", [["apply"], ["join-key", "gpu"]])
def test_without_a_file_the_hosts_fleet_is_meant(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr(bawn.cli.fleet_file, "INSTALLED", Path("/nowhere/fleet.json"))
    assert "FILE: name the fleet's file; there is no /nowhere/fleet.json here." in fleet(*arguments).stderr
    monkeypatch.setattr(bawn.cli.fleet_file, "INSTALLED", Path(OWN))
    assert "/nowhere/headscale is not here" in fleet(*arguments, "--headscale", "/nowhere/headscale").stderr


@pytest.mark.parametrize(("command", "node"), [("apply", []), ("join-key", ["gpu"])])
def test_a_fleet_that_cannot_work_changes_nothing(command: str, node: list[str]) -> None:
    result = fleet(command, str(EXAMPLES.parent / "broken" / "no-gpu.toml"), *node)
    assert result.exit_code == 1
    assert "no-gpu.toml: " in result.stderr


def test_a_key_does_not_show_itself() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    key = JoinKey("gpu", "gpu", "tag:gpu", "hskey-auth-secret", now, ephemeral=False, login_server="https://h")
    assert "secret" not in repr(key)
