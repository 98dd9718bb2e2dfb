"""What `bawn gateway --check` says of settings that can't work."""

from pathlib import Path
from typing import Any

import pytest

from bawn.contracts.errors import SettingsError
from bawn.gateway.check import problems
from bawn.gateway.settings import GatewaySettings
from bawn.service.settings import read_settings, to_settings

GPU = {"name": "gpu", "url": "http://10.0.0.2:8000", "models": ["coder"]}


def _problems(tmp_path: Path, **data: Any) -> list[str]:
    data = {"upstreams": [GPU], "keys_file": str(tmp_path / "keys.json"), **data}
    return problems(to_settings(data, GatewaySettings, origin="f"))


def test_settings_that_work_have_no_problems(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    second = {"name": "spare", "url": "https://spare.example:8443/llm", "token_file": str(token)}
    assert _problems(tmp_path, upstreams=[GPU, second], aliases={"default": "coder", "mine": "discovered"}) == []
    ada = {"login": "ada@", "models": ["default", "coder"], "indexes": ["code"], "nodes": ["ada-laptop"]}
    known = {"people": {"ada": ada, "bob": {"login": "bob@"}}, "identity": "key+tailnet"}
    assert _problems(tmp_path, aliases={"default": "coder"}, **known) == []
    # What an upstream serves that says so only when it runs can't be judged before.
    discovered = {"ada": {"login": "ada@", "models": ["discovered"]}}
    assert _problems(tmp_path, upstreams=[GPU, second], people=discovered) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"upstreams": []}, "upstreams: at least one is needed."),
        ({"upstreams": [GPU, GPU]}, "upstreams: 2 of them are named 'gpu'; names must differ."),
        ({"upstreams": [{**GPU, "name": ""}]}, "upstreams[0].name: must not be empty."),
        ({"upstreams": [{**GPU, "url": "10.0.0.2:8000"}]}, "upstreams[0].url: '10.0.0.2:8000' is not of the form"),
        ({"upstreams": [{**GPU, "url": "http://h:99999"}]}, "upstreams[0].url: 'http://h:99999' is not of the form"),
        ({"upstreams": [{**GPU, "url": "http://h:1/v1"}]}, "upstreams[0].url: 'http://h:1/v1' must be without /v1"),
        ({"upstreams": [{**GPU, "url": "http://u:p@h"}]}, "upstreams[0].url: credentials don't belong in a URL"),
        (
            {"upstreams": [{**GPU, "token_file": "/nope/t"}]},
            "upstreams[0].token_file: /nope/t: the secret can't be read",
        ),
        ({"upstreams": [{**GPU, "models": ["a", "a"]}]}, "upstreams[0].models: 'a' is listed 2 times."),
        ({"aliases": {"x": "typo"}}, "aliases.x: no upstream serves 'typo'; known: coder."),
        ({"aliases": {"coder": "coder"}}, "aliases.coder: an upstream serves a model of this name"),
        ({"aliases": {"a": "b", "b": "coder"}}, "aliases.a: 'b' is itself an alias"),
        (
            {"identity": "key+tailnet"},
            "identity: key+tailnet needs to know whose node is whose; name the people in people",
        ),
        ({"identity": "tailnet"}, "identity: tailnet needs to know whose node is whose"),
        ({"people": {}}, "people: is empty, so that nobody could use the gateway"),
        ({"people": {"ada": {"login": ""}}}, "people.ada.login: must not be empty."),
        (
            {"people": {"ada": {"login": "a@x"}, "bob": {"login": "A@x"}}},
            "people.bob.login: A@x is the login of 2 people; logins must differ.",
        ),
        (
            {"people": {"ada": {"login": "a@x", "models": ["typo"]}}, "aliases": {"default": "coder"}},
            "people.ada.models: no upstream serves 'typo'; known: coder, default.",
        ),
        ({"port": 0}, "port: 0 is not between 1 and 65535."),
        ({"keepalive_s": 0}, "keepalive_s: 0 seconds must be more than 0."),
        ({"timeouts": {"connect_s": -1}}, "timeouts.connect_s: -1 seconds must be more than 0."),
        ({"max_in_flight": 0}, "max_in_flight: must be more than 0."),
        ({"index_dir": "/etc/hostname"}, "index_dir: /etc/hostname is not a folder."),
        ({"keys_file": "/etc/hostname"}, "keys_file: /etc/hostname: is not a keys file"),
    ],
)
def test_each_problem_is_named_by_its_key(tmp_path: Path, data: dict[str, Any], message: str):
    found = _problems(tmp_path, **data)
    assert any(problem.startswith(message) for problem in found), found


def test_an_index_file_that_can_not_work_is_a_problem_and_says_which_key_it_needs(tmp_path: Path):
    (tmp_path / "index.json").write_text('{"meilisearch": {"code": {"url": "http://h", "key_file": "/none"}}}')
    (found,) = _problems(tmp_path, index_dir=str(tmp_path))
    assert found.startswith("index_dir: /none: the secret can't be read")


def test_all_problems_are_told_at_once(tmp_path: Path):
    assert len(_problems(tmp_path, port=0, max_in_flight=0, aliases={"x": "typo"})) == 3


def test_an_unknown_key_is_named(tmp_path: Path):
    file = tmp_path / "gateway.toml"
    file.write_text('[[upstreams]]\nname = "gpu"\nurl = "http://h"\nurll = 1\n')
    with pytest.raises(SettingsError, match=r"upstreams\[0\].*urll"):
        read_settings(file, GatewaySettings)
