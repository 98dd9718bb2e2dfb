"""Settings files say which key is wrong and what was expected."""

from pathlib import Path

import pytest

from bawn.contracts.errors import SettingsError
from bawn.service.settings import Settings, read_secret, read_settings


class Part(Settings, frozen=True):
    name: str
    size: int = 1


class Whole(Settings, frozen=True):
    parts: list[Part] = []
    on: bool = False


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.toml", '[[parts]]\nname = "x"\nsize = 2\n'), ("a.json", '{"parts": [{"name": "x", "size": 2}]}')],
)
def test_toml_and_json_read_the_same(tmp_path: Path, name: str, text: str) -> None:
    assert read_settings(write(tmp_path, name, text), Whole) == Whole(parts=[Part(name="x", size=2)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"part": []}', ["top level", "unknown field `part`"]),
        ('{"parts": [{"name": "x"}, {"name": 3}]}', ["parts[1].name", "Expected `str`, got `int`"]),
        ('{"parts": [{}]}', ["parts[0]", "missing required field `name`"]),
        ('{"on": "yes"}', ["on", "Expected `bool`"]),
        ("{", ["is not valid JSON"]),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path: Path, text: str, words: list[str]) -> None:
    path = write(tmp_path, "a.json", text)
    with pytest.raises(SettingsError) as caught:
        read_settings(path, Whole)
    assert all(word in str(caught.value) for word in [str(path), *words])


def test_a_missing_file_and_another_format_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        read_settings(tmp_path / "none.toml", Whole)
    with pytest.raises(SettingsError, match=r"\.toml or a \.json"):
        read_settings(write(tmp_path, "a.yaml", ""), Whole)


def test_a_secret_loses_its_line_break_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    assert read_secret(write(tmp_path, "s", "abc\n")) == "abc"
    with pytest.raises(SettingsError, match="is empty"):
        read_secret(write(tmp_path, "e", "\n"))
