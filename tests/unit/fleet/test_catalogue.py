"""The catalogue of models, and entries of the fleet as text."""

import tomllib
from typing import Any

import msgspec
import pytest

from bawn.contracts.errors import SettingsError
from bawn.fleet import naming
from bawn.fleet.catalogue import CATALOGUE, entry, of_file
from bawn.fleet.checks import problems
from bawn.fleet.reading import to_fleet
from bawn.fleet.schema import Model
from bawn.fleet.stanza import nix, toml

NAMES = [known.name for known in CATALOGUE]


def fleet_of(models: dict[str, Any], vram_mib: int) -> dict[str, Any]:
    (name,) = models
    return {
        "name": "example",
        "tailnet": {"base_domain": "tailnet.example.org", "server_url": "https://headscale.example.org"},
        "people": {"ada": {"login": "ada@example.org", "models": [name]}},
        "nodes": {
            "headscale": {"role": "headscale"},
            "gateway": {"role": "gateway"},
            "gpu": {"role": "gpu", "models": [name], "vram_mib": vram_mib},
        },
        "models": models,
    }


@pytest.mark.parametrize("known", CATALOGUE, ids=NAMES)
def test_a_fleet_with_an_entry_works_on_its_card(known: Any) -> None:
    models = tomllib.loads(toml("coder", known.model))["models"]
    fleet = to_fleet(fleet_of(models, known.card_gib * 1024), origin="test")
    assert fleet.models["coder"] == known.model
    assert problems(fleet) == []


@pytest.mark.parametrize("known", CATALOGUE, ids=NAMES)
def test_an_entry_has_room_for_its_context_and_the_state_of_its_slots(known: Any) -> None:
    # 16 of 64 layers attend, with 4 heads of 256 for keys and values in f16; the others keep 150 MiB a slot.
    cache = known.model.context_tokens * 16 * 2 * 4 * 256 * 2 / 2**20
    assert known.model.kv_mib >= cache + 150 * known.model.slots


def test_the_default_is_what_the_example_team_runs() -> None:
    default = CATALOGUE[0]
    assert default.name == "Qwen3.6-27B/Q4_K_M"
    assert default.model == Model(
        file="Qwen3.6-27B-Q4_K_M.gguf", size_mib=16500, kv_mib=5000, context_tokens=65536, slots=4
    )


def test_no_hash_and_no_address_is_claimed_and_they_are_asked_for() -> None:
    for known in CATALOGUE:
        assert (known.model.url, known.model.sha256) == (None, None)
        for text in (toml("coder", known.model), nix("coder", known.model)):
            assert "# No url and sha256 yet: `bawn weights pin URL` prints them" in text


def test_entries_are_found_by_name_and_by_file() -> None:
    for known in CATALOGUE:
        assert entry(known.name) is known
        assert of_file(known.model.file) is known
        assert known.model.file == f"{known.name.replace('/', '-')}.gguf"
    assert of_file("other.gguf") is None
    with pytest.raises(SettingsError, match=r"x: is not in the catalogue; known: Qwen3\.6-27B/IQ4_XS, "):
        entry("x")


@pytest.mark.parametrize("name", ["coder", "a.b", "qwen3:27b", "org/model", "let"])
def test_an_entry_is_read_back_from_toml_as_it_was(name: str) -> None:
    assert naming.MODEL.fullmatch(name)
    model = Model(
        file='odd "name" \\ ${x} ü.gguf', size_mib=7, url="https://example.org/a?b=${c}", sha256="0" * 64, slots=9
    )
    read = tomllib.loads(toml(name, model))["models"][name]
    assert msgspec.convert(read, Model) == model
    assert "#" not in toml(name, model)


def test_nix_names_and_texts_are_quoted_where_they_must_be() -> None:
    model = Model(file='a "b" ${c} \\.gguf', size_mib=7, url="https://example.org/a", sha256="0" * 64)
    assert nix("coder", model).splitlines() == [
        "models.coder = {",
        '  file = "a \\"b\\" \\${c} \\\\.gguf";',
        "  size_mib = 7;",
        '  url = "https://example.org/a";',
        f'  sha256 = "{"0" * 64}";',
        "};",
    ]
    for name in ("let", "a.b", "3b", "org/model"):
        assert nix(name, model).startswith(f'models."{name}" = {{\n')
