"""Fleet files: TOML and JSON are one format, and what has the wrong shape is named by its key."""

from pathlib import Path

import msgspec
import pytest

from bawn.contracts.errors import SettingsError
from bawn.fleet.problems import BrokenFleet
from bawn.fleet.reading import read_fleet, to_fleet
from bawn.service.settings import read_data

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_toml_and_json_read_the_same(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "fleet.json"
    copy.write_bytes(msgspec.json.encode(read_data(path)))
    assert read_fleet(copy) == read_fleet(path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_fleet_survives_being_written_with_all_its_defaults(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "fleet.json"
    copy.write_bytes(msgspec.json.encode(read_fleet(path)))
    assert read_fleet(copy) == read_fleet(path)


@pytest.mark.parametrize("text", ["[]", "3", '"fleet"'])
def test_a_file_that_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BrokenFleet, match=r"fleet\.json: top level: expected an object"):
        read_fleet(path)


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: can't be read"):
        read_fleet(tmp_path / "none.toml")
    (tmp_path / "fleet.toml").write_text("name = ", encoding="utf-8")
    with pytest.raises(SettingsError, match="is not valid TOML"):
        read_fleet(tmp_path / "fleet.toml")


def test_every_line_of_the_message_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text('{"name": 1, "nodes": {"a": {}}}', encoding="utf-8")
    with pytest.raises(BrokenFleet) as caught:
        read_fleet(path)
    assert str(caught.value).splitlines() == [
        f"{path}: name: expected text, got a whole number.",
        f"{path}: nodes.a.role: is missing; give one of headscale, gateway, gpu, pod, laptop.",
        f"{path}: tailnet: is missing; give base_domain, and server_url (your Headscale's) "
        "or managed = true (Tailscale's).",
    ]


def test_for_every_key_that_must_be_there_the_mend_says_what_to_give() -> None:
    data = {"people": {"p": {}}, "nodes": {"n": {}}, "models": {"m": {}}, "tailnet": {}}
    with pytest.raises(BrokenFleet) as caught:
        to_fleet(data, origin="f")
    told = {problem.key: problem.reason for problem in caught.value.problems}
    assert told.keys() == {
        *("name", "tailnet.base_domain", "people.p.login", "nodes.n.role", "models.m.file", "models.m.size_mib")
    }
    assert all(reason.startswith("is missing; give ") and "give a value" not in reason for reason in told.values())
