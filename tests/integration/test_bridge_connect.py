"""`bawn connect` against a running bridge, as a person calls it."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bawn.cli.main import cli
from support.bridges import TOKEN, bridge_to
from support.ports import free_port
from support.scripted_upstream import scripted_upstream


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CONFIG_HOME", "CONTINUE_GLOBAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BAWN_CONFIG", str(tmp_path / "bawn"))
    monkeypatch.setenv("BAWN_STATE", str(tmp_path / "state"))
    (tmp_path / "bawn").mkdir()
    (tmp_path / "bawn" / "bridge.token").write_text(TOKEN, encoding="utf-8")
    return tmp_path


async def bawn(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, ["connect", *arguments])


async def test_opencode_gets_the_gateways_models_and_undo_leaves_nothing(home: Path) -> None:
    async with scripted_upstream() as gateway, bridge_to(gateway.url) as bridge:
        result = await bawn("opencode", "--bridge", bridge.url)
        assert result.exit_code == 0, result.output
        path = home / ".config" / "opencode" / "opencode.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        assert list(data["provider"]["bawn"]["models"]) == ["scripted"]
        assert data["provider"]["bawn"]["options"]["apiKey"] == "{file:~/bawn/bridge.token}"
        assert data["mcp"]["bawn"]["url"] == f"{bridge.url}/mcp"
        unknown = await bawn("opencode", "--bridge", bridge.url, "--model", "nope")
        assert (unknown.exit_code, "offers: scripted" in unknown.stderr) == (2, True)
    assert "Removed" in (await bawn("opencode", "--undo")).stdout
    assert not path.exists()
    assert "holds nothing" in (await bawn("opencode", "--undo")).stdout


async def test_a_projects_file_that_holds_the_token_is_warned_of(home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    async with scripted_upstream() as gateway, bridge_to(gateway.url) as bridge:
        for assistant, warned in (("continue", True), ("opencode", False)):
            result = await bawn(assistant, "--bridge", bridge.url, "--project", str(project))
            assert result.exit_code == 0, result.output
            assert ("version control" in result.stderr) is warned
    assert TOKEN in (project / ".continue" / "config.yaml").read_text(encoding="utf-8")
    assert TOKEN not in (project / "opencode.json").read_text(encoding="utf-8")


def written(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


async def test_print_writes_nothing(home: Path) -> None:
    async with scripted_upstream() as gateway, bridge_to(gateway.url) as bridge:
        result = await bawn("opencode", "--print", "--bridge", bridge.url)
    assert json.loads(result.stdout)["model"] == "bawn/scripted"
    assert written(home) == ["bawn"]


async def test_without_a_bridge_the_models_are_named_by_hand(home: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    refused = await bawn("continue", "--bridge", url)
    assert refused.exit_code == 2
    assert "bawn bridge" in refused.stderr
    assert "--model" in refused.stderr
    named = await bawn("opencode", "--bridge", url, "--model", "big", "--small-model", "tiny")
    assert named.exit_code == 0, named.output
    data = json.loads((home / ".config" / "opencode" / "opencode.json").read_text(encoding="utf-8"))
    assert (data["model"], data["small_model"]) == ("bawn/big", "bawn/tiny")
    assert list(data["provider"]["bawn"]["models"]) == ["big", "tiny"]
