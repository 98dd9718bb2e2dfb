"""Configurations of assistants, as `bawn connect` writes them, compared with the bridge."""

from pathlib import Path

import pytest

from bawn.bridge.clients.connection import Connection
from bawn.bridge.clients.continue_dev import Continue
from bawn.bridge.clients.opencode import OpenCode
from bawn.contracts.openai import ModelCard
from bawn.doctor.assistants import check, configured
from bawn.doctor.hops import Fault

URL = "http://127.0.0.1:8080"
TOKEN = "bawn_local_token"


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connection:
    for name in ("XDG_CONFIG_HOME", "CONTINUE_GLOBAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BAWN_CONFIG", str(tmp_path))
    token = tmp_path / "bridge.token"
    token.write_text(f"{TOKEN}\n")
    return Connection(url=URL, token=TOKEN, token_file=token, models=[ModelCard(id="coder")])


def write(client: OpenCode | Continue, connection: Connection, project: Path | None = None) -> Path:
    path = client.locate(project)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(client.merged(None, connection))
    return path


@pytest.mark.parametrize("client", [OpenCode(), Continue()])
def test_what_connect_writes_is_right_and_what_differs_from_it_is_not(
    tmp_path: Path, connection: Connection, client: OpenCode | Continue
) -> None:
    path = write(client, connection)
    found = configured(tmp_path / "elsewhere")
    assert [(one.name, one.model, one.file) for one in found] == [(client.name, "coder", path)]
    check(found[0], URL, TOKEN)
    assert TOKEN not in repr(found[0])
    for url, token, code in ((URL, "another", "assistant_token_wrong"), (f"{URL}1", TOKEN, "assistant_elsewhere")):
        with pytest.raises(Fault) as fault:
            check(found[0], url, token)
        assert fault.value.code == code
        assert TOKEN not in fault.value.wrong + fault.value.mend
        assert found[0].command in fault.value.mend


def test_a_projects_configuration_counts_beside_the_users(tmp_path: Path, connection: Connection) -> None:
    project = tmp_path / "project"
    paths = [write(OpenCode(), connection), write(OpenCode(), connection, project)]
    assert [one.file for one in configured(project)] == paths


def test_the_mcp_server_must_have_the_token_too(tmp_path: Path, connection: Connection) -> None:
    path = write(OpenCode(), connection)
    path.write_text(path.read_text().replace("Bearer {file:~/bridge.token}", "Bearer {file:~/nowhere}"))
    with pytest.raises(Fault, match="has not the bridge's token"):
        check(configured(tmp_path)[0], URL, TOKEN)


def test_files_without_our_entries_are_nobodys_and_broken_ones_are_told(tmp_path: Path, connection: Connection) -> None:
    assert configured(tmp_path) == []
    for client, text in ((OpenCode(), '{"model": "other/x"}'), (Continue(), "models: []\n")):
        path = write(client, connection)
        path.write_text(text)
        assert configured(tmp_path / "elsewhere") == []
        path.write_text('{"model": "other/x"' if client.name == "OpenCode" else "models: [\n")
        with pytest.raises(Fault) as fault:
            configured(tmp_path / "elsewhere")
        assert fault.value.code == "assistant_unreadable"
        path.unlink()
