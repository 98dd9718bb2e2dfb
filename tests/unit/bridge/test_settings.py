"""The bridge's settings and its token."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from bawn.bridge.local_token import install_token
from bawn.bridge.settings import load
from bawn.cli.main import cli
from bawn.contracts.errors import SettingsError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAWN_CONFIG", str(tmp_path))
    return tmp_path


def test_the_first_start_says_what_to_write_and_what_to_pass(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"gateway_url and key_file into .*bridge\.toml, or pass --gateway"):
        load(None)
    with pytest.raises(SettingsError, match="key_file"):
        load(None, gateway="http://g:1")


def test_flags_complete_and_override_the_file(folder: Path) -> None:
    (folder / "bridge.toml").write_text('gateway_url = "http://a:1/"\nport = 9000\n', encoding="utf-8")
    settings = load(None, key_file=folder / "k", port=9001)
    assert (settings.gateway_url, settings.port, settings.key_file) == ("http://a:1", 9001, str(folder / "k"))
    assert load(None, gateway="http://b:2", key_file=folder / "k").gateway_url == "http://b:2"


def test_the_key_file_is_looked_for_beside_the_settings_and_in_the_home_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/h")
    path = folder / "other.toml"
    path.write_text('gateway_url = "http://a:1"\nkey_file = "gw.key"\n', encoding="utf-8")
    assert load(path).key_file == str(folder / "gw.key")
    path.write_text('gateway_url = "http://a:1"\nkey_file = "~/gw.key"\n', encoding="utf-8")
    assert load(path).key_file == "/h/gw.key"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "laptop.example"])
def test_an_address_that_others_reach_is_refused_with_the_reason(host: str, folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"loopback only.*this laptop's key"):
        load(None, gateway="http://g:1", key_file=folder / "k", host=host)
    result = CliRunner().invoke(cli, ["bridge", "--gateway", "http://g:1", "--key-file", "k", "--host", host])
    assert result.exit_code == 2
    assert "loopback only" in result.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_addresses_are_taken(host: str, folder: Path) -> None:
    assert load(None, gateway="http://g:1", key_file=folder / "k", host=host).host == host


@pytest.mark.parametrize("url", ["gateway:8700", "ftp://gateway", "http://", "http://user:secret@gateway:1"])
def test_a_gateway_url_that_cannot_work_is_refused_without_repeating_it(url: str, folder: Path) -> None:
    with pytest.raises(SettingsError, match="gateway_url") as refused:
        load(None, gateway=url, key_file=folder / "k")
    assert "secret" not in str(refused.value)


def test_the_token_is_made_once_private_and_long(folder: Path) -> None:
    path = folder / "deep" / "bridge.token"
    token = install_token(path)
    assert len(token) > 40
    assert install_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["bridge.token"]


def test_a_token_that_others_could_read_is_closed(folder: Path) -> None:
    path = folder / "bridge.token"
    path.write_text("t\n", encoding="utf-8")
    path.chmod(0o644)
    assert install_token(path) == "t"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_token_is_refused(folder: Path) -> None:
    path = folder / "bridge.token"
    path.write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="empty"):
        install_token(path)
