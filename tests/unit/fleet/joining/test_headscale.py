"""What is told when Headscale's program isn't there or answers badly; tests/integration runs the real one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bawn.fleet.joining.headscale import Headscale, HeadscaleError, Moment, Node, PreAuthKey

CLOSED = """{
	"error": "connecting to headscale: unable to read/write to headscale socket \\"/run/headscale/headscale.sock\\", do you have the correct permissions? open /run/headscale/headscale.sock: permission denied"
}"""  # noqa: E501 - as headscale writes it


def program(folder: Path, *, says: str = "", stderr: str = "", status: int = 0) -> str:
    """In Headscale's place, for what it can't be brought to say where tests run as root."""
    for name, text in {"says": says, "stderr": stderr}.items():
        (folder / name).write_text(text, encoding="utf-8")
    path = folder / "headscale"
    path.write_text(f'#!/bin/sh\ncat "{folder}/says"\ncat "{folder}/stderr" >&2\nexit {status}\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_program_that_is_missing_is_named_with_the_ways_out() -> None:
    with pytest.raises(HeadscaleError, match=r"^/nowhere/headscale is not here: .*--remote.*--headscale\.$"):
        Headscale("/nowhere/headscale").users()


def test_a_program_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    (tmp_path / "headscale").touch()
    with pytest.raises(HeadscaleError, match="can't be started: Permission denied"):
        Headscale(str(tmp_path / "headscale")).users()


def test_a_machine_without_ssh_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HeadscaleError, match="`ssh` is not on PATH"):
        Headscale(remote="headscale").users()


def test_a_socket_that_is_closed_to_the_user_asks_for_root(tmp_path: Path) -> None:
    with pytest.raises(HeadscaleError, match="run this as root"):
        Headscale(program(tmp_path, stderr=CLOSED, status=1)).users()


@pytest.mark.parametrize("stderr", ["FTL error loading config\n", "WRN an old key\nFTL error loading config\n"])
def test_a_refusal_that_is_no_json_is_its_last_line(tmp_path: Path, stderr: str) -> None:
    with pytest.raises(HeadscaleError, match=r"headscale users list: FTL error loading config$"):
        Headscale(program(tmp_path, stderr=stderr, status=1)).users()


def test_an_answer_of_another_form_is_refused_without_repeating_it(tmp_path: Path) -> None:
    headscale = Headscale(program(tmp_path, says='{"key": "hskey-auth-secret", "expiration": 3}'))
    with pytest.raises(HeadscaleError, match="answers in another form") as refused:
        headscale.create_key(user=None, tag="tag:gpu", ephemeral=False, expiration="1h")
    assert "secret" not in str(refused.value)


def test_an_empty_list_is_null(tmp_path: Path) -> None:
    assert Headscale(program(tmp_path, says="null\n")).nodes() == []


def test_a_key_does_not_show_itself() -> None:
    assert "secret" not in repr(PreAuthKey(key="hskey-auth-secret", expiration=Moment(1)))


def test_the_year_1_means_that_a_node_never_expires() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    expiries = (-62135596800, int(now.timestamp()) + 1, int(now.timestamp()))
    assert [Node(1, "n", expiry=Moment(seconds)).expired(now) for seconds in expiries] == [False, False, True]
