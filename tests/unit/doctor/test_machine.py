"""Which roles a machine has."""

import json
from pathlib import Path

import pytest

from bawn.contracts.errors import SettingsError
from bawn.doctor import machine
from bawn.doctor.hops import Fault
from bawn.doctor.machine import find, named
from bawn.doctor.settings_file import readable
from bawn.doctor.units import Unit, check_active, parse


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing is set up; `systemctl` is not found."""
    monkeypatch.setenv("BAWN_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("BAWN_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def put(file: Path, **data: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data))
    return file


def roles(folder: Path) -> list[tuple[str, Path | None]]:
    return [(place.role, place.settings) for place in find(run=folder / "run")]


def test_a_machine_with_nothing_on_it_is_a_laptop_that_is_not_set_up(bare: Path) -> None:
    assert roles(bare) == [("laptop", None)]


def test_services_are_found_by_what_they_make_at_their_start(bare: Path) -> None:
    gateway = put(bare / "run" / "bawn-gateway" / "gateway.json")
    assert roles(bare) == [("gateway", gateway)]
    gpu = put(bare / "run" / "bawn-model-server" / "model-server.json")
    assert roles(bare) == [("gateway", gateway), ("gpu", gpu)]


def test_a_bridge_is_found_by_its_settings_and_one_machine_by_what_make_up_keeps(bare: Path) -> None:
    up = [put(bare / "state" / "up" / name) for name in ("bridge.json", "gateway.json", "model-server.json")]
    assert roles(bare) == list(zip(("laptop", "gateway", "gpu"), up, strict=True))
    bridge = bare / "config" / "bridge.toml"
    bridge.parent.mkdir()
    bridge.write_text("")
    assert roles(bare) == [("laptop", bridge)]
    assert [place.settings for place in find(bare / "state" / "up")] == up


def test_a_named_file_is_of_the_role_that_its_keys_say(tmp_path: Path) -> None:
    for role, key in (("laptop", "gateway_url"), ("gateway", "upstreams"), ("gpu", "model")):
        assert named([put(tmp_path / "s.json", **{key: []})], None)[0].role == role
    other = put(tmp_path / "s.json", cat=1)
    with pytest.raises(SettingsError, match="--role"):
        named([other], None)
    assert named([other], "gpu")[0].role == "gpu"


SHOWN = """\
Result=exit-code
ExecStart={ path=/x/bawn ; argv[]=/x/bawn bridge --settings /x/bridge.json --key-file /home/a/k ; ignore_errors=no }
LoadState=loaded
ActiveState=failed
"""


def test_a_unit_tells_its_state_and_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = parse("bawn-bridge.service", SHOWN)
    assert told is not None
    assert (told.flag("--settings"), told.flag("--key-file")) == (Path("/x/bridge.json"), Path("/home/a/k"))
    assert told.flag("--port") is None
    assert parse("x", "LoadState=not-found\nActiveState=inactive\n") is None
    assert parse("x", "") is None
    with pytest.raises(Fault, match=r"bawn-bridge is failed \(exit-code\)"):
        check_active(told)
    check_active(None)
    check_active(Unit("x", "active", "success", []))
    monkeypatch.setattr(machine, "unit", lambda name, *, user=False: told if user else None)
    place = find(run=tmp_path)[0]
    assert (place.role, place.settings, place.key_file) == ("laptop", Path("/x/bridge.json"), Path("/home/a/k"))


def test_settings_that_are_not_there_or_not_for_this_user(tmp_path: Path) -> None:
    file = put(tmp_path / "s.json")
    assert readable(file, "bawn-gateway") == file
    for missing in (None, tmp_path / "none.json"):
        with pytest.raises(Fault) as fault:
            readable(missing, "bawn-gateway")
        assert fault.value.code == "settings_missing"
