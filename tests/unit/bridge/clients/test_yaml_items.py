"""Edits of lists in a YAML file."""

import pytest

from bawn.bridge.clients.client import BrokenFile
from bawn.bridge.clients.yaml_items import YamlLists

FILE = """# mine
name: My config   # as shown
version: 1.0.0
schema: v1

models:
    # the big one
    - name: "GPT"
      provider: openai
      roles: [chat,   edit]
      system: |
        Be brief.

        # not a comment

    # nothing follows

rules:
- one
- two
mcpServers: []
context:
  - provider: code   # keep
"""
ITEM = {"name": "bawn m", "model": "m", "roles": ["chat"]}


def test_an_item_is_added_to_a_list_and_every_old_line_stays() -> None:
    document = YamlLists(FILE)
    document.append("models", ITEM)
    assert [line for line in document.text.splitlines() if line in FILE.splitlines()] == FILE.splitlines()
    assert document.data["models"][1] == ITEM
    assert document.data["models"][0]["system"] == "Be brief.\n\n# not a comment\n"


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        "name: x\nmodels:\n- name: a\n  b: c\n# end",
        "name: x\nmodels:\n  - name: a\n    b:\n",
        "name: x",
        "# only words\n",
        "models:   # none yet\nname: x\n",
        "models:\n  - {name: a, b: [c]}\n  - name: d\n",
    ],
)
def test_what_was_added_can_be_taken_out_again(text: str) -> None:
    document = YamlLists(text)
    before = document.data
    document.append("models", ITEM)
    document.append("models", {**ITEM, "name": "bawn n"})
    assert [item["name"] for item in document.items("models")][-2:] == ["bawn m", "bawn n"]
    document.remove("models", "bawn m")
    document.remove("models", "bawn n")
    was = before or {}
    now = document.data or {}
    assert {k: v for k, v in now.items() if v} == {k: v for k, v in was.items() if v}
    kept = [line for line in text.splitlines() if not line.startswith("models:   #")]
    assert [line for line in document.text.splitlines() if line in kept] == kept


def test_a_list_in_brackets_takes_items() -> None:
    document = YamlLists("models: [{name: a}]  # short\nname: x\n")
    document.append("models", ITEM)
    assert document.data["models"] == [{"name": "a"}, ITEM]
    assert "# short" in document.text
    with pytest.raises(BrokenFile, match="by hand"):
        document.remove("models", "bawn m")


def test_an_empty_list_in_brackets_becomes_a_block() -> None:
    document = YamlLists(FILE)
    document.append("mcpServers", {"name": "bawn", "url": "u"})
    assert "mcpServers:\n  - name: bawn\n    url: u\ncontext:" in document.text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1", "line 1"),
        ("a: 1\nb: c: d\n", "line 2"),
        ("a: 1\n\tb: 2\n", "line 2"),
        ("a: 1\na: 2\n", "line 2"),
        ("- a\n", "line 1"),
        ("{a: 1}", "line 1"),
        ("a: 1\n---\nb: 2\n", "line 2"),
        ("a: *b\n", "line 1"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text: str, place: str) -> None:
    with pytest.raises(BrokenFile, match=place):
        YamlLists(text)


def test_a_value_in_the_way_is_refused() -> None:
    with pytest.raises(BrokenFile, match="line 2: expected `models` to be a list"):
        YamlLists("name: x\nmodels: 3\n").append("models", ITEM)
