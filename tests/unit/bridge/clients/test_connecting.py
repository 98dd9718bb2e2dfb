"""`bawn connect`: merge, backup, undo, for both clients and every state of the file."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import json5
import pytest
from ruamel.yaml import YAML

from bawn.bridge.clients.client import Client
from bawn.bridge.clients.connecting import connect, undo
from bawn.bridge.clients.connection import Connection
from bawn.bridge.clients.continue_dev import Continue
from bawn.bridge.clients.opencode import OpenCode
from bawn.bridge.clients.receipts import Receipts
from bawn.contracts.errors import SettingsError
from bawn.contracts.openai import ModelCard

OPENCODE = """{
  // my editor
  "theme": "dark", // eyes
  "model": "anthropic/claude",
  "provider": {
    "other": { "name": "Other", }, /* keep */
  },
  "unknownKey": [1, 2],
}
"""
CONTINUE = """# my assistant
name: Mine
version: 1.0.0
schema: v1
models:
  - name: Other   # keep
    provider: ollama
    model: o
unknownKey: [1,  2]
# the end
"""


@dataclass
class Case:
    client: Client
    path: Path
    original: str
    edit: tuple[str, str]
    broken: str

    def data(self) -> Any:
        text = self.path.read_text(encoding="utf-8")
        return json5.loads(text) if isinstance(self.client, OpenCode) else YAML(typ="safe", pure=True).load(text)


@pytest.fixture(params=["opencode", "continue"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    if request.param == "opencode":
        return Case(OpenCode(), tmp_path / "o.json", OPENCODE, ('"dark"', '"light"'), '{\n  "a": 1\n  "b": 2\n}\n')
    return Case(Continue(), tmp_path / "c.yaml", CONTINUE, ("name: Mine", "name: Ours"), "a: 1\nb: c: d\n")


@pytest.fixture
def receipts(tmp_path: Path) -> Receipts:
    return Receipts(tmp_path / "state")


def connection(*models: str, port: int = 8080) -> Connection:
    cards = [ModelCard(id=name, context_length=8192, fim=name == "fim") for name in models or ("big", "fim")]
    return Connection(
        url=f"http://127.0.0.1:{port}", token="secret-token", token_file=Path("/c/bridge.token"), models=cards
    )


def test_a_new_file_is_private_and_undo_removes_it(case: Case, receipts: Receipts) -> None:
    assert connect(case.client, case.path, connection(), receipts).done == "created"
    assert stat.S_IMODE(case.path.stat().st_mode) == 0o600
    assert "8080" in case.path.read_text(encoding="utf-8")
    assert undo(case.client, case.path, receipts).done == "removed"
    assert list(case.path.parent.glob(f"*{case.path.name}*")) == []


def test_an_existing_file_keeps_every_line_and_its_mode_and_comes_back_exactly(case: Case, receipts: Receipts) -> None:
    case.path.write_text(case.original, encoding="utf-8")
    case.path.chmod(0o640)
    outcome = connect(case.client, case.path, connection(), receipts)
    assert outcome.done == "merged"
    assert outcome.backup is not None
    assert outcome.backup.read_text(encoding="utf-8") == case.original
    assert stat.S_IMODE(case.path.stat().st_mode) == 0o640
    lines = iter(case.path.read_text(encoding="utf-8").splitlines())
    assert all(line in lines for line in case.original.splitlines())  # in their order
    assert case.data()["unknownKey"] == [1, 2]
    assert undo(case.client, case.path, receipts).done == "restored"
    assert case.path.read_text(encoding="utf-8") == case.original
    assert not outcome.backup.exists()


def test_twice_is_the_same_as_once(case: Case, receipts: Receipts) -> None:
    case.path.write_text(case.original, encoding="utf-8")
    connect(case.client, case.path, connection(), receipts)
    once = case.path.read_text(encoding="utf-8")
    assert connect(case.client, case.path, connection(), receipts).done == "unchanged"
    assert case.path.read_text(encoding="utf-8") == once


def test_other_models_replace_ours_and_undo_still_gives_the_original(case: Case, receipts: Receipts) -> None:
    case.path.write_text(case.original, encoding="utf-8")
    connect(case.client, case.path, connection(), receipts)
    connect(case.client, case.path, connection("newer", port=9000), receipts)
    text = case.path.read_text(encoding="utf-8")
    assert "9000" in text
    assert "8080" not in text
    assert "big" not in text
    assert undo(case.client, case.path, receipts).done == "restored"
    assert case.path.read_text(encoding="utf-8") == case.original


def test_after_an_edit_by_the_user_undo_takes_only_ours_out(case: Case, receipts: Receipts) -> None:
    case.path.write_text(case.original, encoding="utf-8")
    outcome = connect(case.client, case.path, connection(), receipts)
    edited = case.path.read_text(encoding="utf-8").replace(*case.edit)
    case.path.write_text(edited, encoding="utf-8")
    assert undo(case.client, case.path, receipts).done == "taken_out"
    assert case.path.read_text(encoding="utf-8") == case.original.replace(*case.edit)
    assert outcome.backup is not None
    assert outcome.backup.read_text(encoding="utf-8") == case.original


def test_an_edit_between_two_runs_is_not_lost_by_undo(case: Case, receipts: Receipts) -> None:
    case.path.write_text(case.original, encoding="utf-8")
    connect(case.client, case.path, connection(), receipts)
    case.path.write_text(case.path.read_text(encoding="utf-8").replace(*case.edit), encoding="utf-8")
    connect(case.client, case.path, connection("newer"), receipts)
    assert undo(case.client, case.path, receipts).done == "taken_out"
    assert case.path.read_text(encoding="utf-8") == case.original.replace(*case.edit)


def test_undo_works_without_the_receipt_too(case: Case, receipts: Receipts, tmp_path: Path) -> None:
    case.path.write_text(case.original, encoding="utf-8")
    connect(case.client, case.path, connection(), receipts)
    assert undo(case.client, case.path, Receipts(tmp_path / "lost")).done == "taken_out"
    assert case.path.read_text(encoding="utf-8") == case.original


def test_an_older_backup_of_another_state_is_kept(case: Case, receipts: Receipts) -> None:
    backup = case.path.with_name(f"{case.path.name}.before-bawn")
    backup.write_text("older", encoding="utf-8")
    case.path.write_text(case.original, encoding="utf-8")
    outcome = connect(case.client, case.path, connection(), receipts)
    assert backup.read_text(encoding="utf-8") == "older"
    assert outcome.backup == backup.with_name(f"{backup.name}.1")
    assert undo(case.client, case.path, receipts).done == "restored"
    assert backup.read_text(encoding="utf-8") == "older"


def test_a_broken_file_is_refused_with_its_line_and_left_alone(case: Case, receipts: Receipts) -> None:
    case.path.write_text(case.broken, encoding="utf-8")
    with pytest.raises(SettingsError, match=rf"{case.path.name}: line [23].*Nothing was changed"):
        connect(case.client, case.path, connection(), receipts)
    with pytest.raises(SettingsError, match=r"line [23]"):
        undo(case.client, case.path, receipts)
    assert case.path.read_text(encoding="utf-8") == case.broken
    assert sorted(entry.name for entry in case.path.parent.iterdir()) == [case.path.name]


def test_undo_of_nothing_changes_nothing(case: Case, receipts: Receipts) -> None:
    assert undo(case.client, case.path, receipts).done == "nothing"
    case.path.write_text(case.original, encoding="utf-8")
    assert undo(case.client, case.path, receipts).done == "nothing"
    assert case.path.read_text(encoding="utf-8") == case.original


def test_a_link_into_dotfiles_stays_a_link(case: Case, receipts: Receipts) -> None:
    real = case.path.parent / "dotfiles" / "real"
    real.parent.mkdir()
    real.write_text(case.original, encoding="utf-8")
    case.path.symlink_to(real)
    connect(case.client, case.path, connection(), receipts)
    assert case.path.is_symlink()
    assert "bawn" in real.read_text(encoding="utf-8")
    assert undo(case.client, case.path, receipts).done == "restored"
    assert real.read_text(encoding="utf-8") == case.original


def test_line_ends_of_windows_survive(case: Case, receipts: Receipts) -> None:
    original = case.original.replace("\n", "\r\n").encode()
    case.path.write_bytes(original)
    connect(case.client, case.path, connection(), receipts)
    assert case.data()["unknownKey"] == [1, 2]
    assert undo(case.client, case.path, receipts).done == "restored"
    assert case.path.read_bytes() == original


def test_opencode_never_holds_the_token_and_keeps_the_users_model(tmp_path: Path, receipts: Receipts) -> None:
    path = tmp_path / "opencode.jsonc"
    path.write_text(OPENCODE, encoding="utf-8")
    outcome = connect(OpenCode(), path, connection(), receipts)
    data = json5.loads(path.read_text(encoding="utf-8"))
    assert "secret-token" not in path.read_text(encoding="utf-8")
    assert data["provider"]["bawn"]["options"]["apiKey"] == "{file:/c/bridge.token}"
    assert data["model"] == "anthropic/claude"
    assert data["small_model"] == "bawn/big"
    assert "anthropic/claude" in outcome.remarks[0]


def test_continue_completes_code_only_with_models_that_can(tmp_path: Path, receipts: Receipts) -> None:
    path = tmp_path / "config.yaml"
    connect(Continue(), path, connection(), receipts)
    models = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))["models"]
    assert [(model["model"], "autocomplete" in model["roles"]) for model in models] == [("big", False), ("fim", True)]
    assert models[0]["defaultCompletionOptions"]["contextLength"] == 8192
