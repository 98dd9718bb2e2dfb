"""A model's entry as it is written in `fleet.toml` and in `fleet.nix`."""

import json
import re
from typing import Final

import msgspec

from bawn.fleet.problems import key_of
from bawn.fleet.schema import Model

_UNPINNED: Final = "# No url and sha256 yet: `bawn weights pin URL` prints them, for the address you choose."
_NIX_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*")
_NIX_WORDS: Final = frozenset({"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"})


def toml(name: str, model: Model) -> str:
    """The table `models.NAME`, which begins a section of its own."""
    lines = [f"{key} = {_toml_value(value)}" for key, value in _told(model).items()]
    return "\n".join([f"[{key_of('models', name)}]", *lines, *_open(model)]) + "\n"


def nix(name: str, model: Model) -> str:
    """The attribute `models.NAME`, which goes between the braces of `bawn.fleet`."""
    lines = [f"  {key} = {_nix_value(value)};" for key, value in _told(model).items()]
    bare = _NIX_NAME.fullmatch(name) and name not in _NIX_WORDS
    opened = [f"  {line}" for line in _open(model)]
    return "\n".join([f"models.{name if bare else _nix_value(name)} = {{", *lines, *opened, "};"]) + "\n"


def _told(model: Model) -> dict[str, str | int]:
    """All that is known: of a model without a planned cache, context and slots are the schema's defaults, unsaid."""
    told = {
        field.name: value
        for field in msgspec.structs.fields(model)
        if (value := getattr(model, field.name)) != field.default or model.kv_mib
    }
    return {key: value for key, value in told.items() if value is not None}


def _open(model: Model) -> list[str]:
    return [_UNPINNED] if model.sha256 is None else []


def _toml_value(value: str | int) -> str:
    return json.dumps(value, ensure_ascii=False)


def _nix_value(value: str | int) -> str:
    return json.dumps(value, ensure_ascii=False).replace("${", "\\${")
