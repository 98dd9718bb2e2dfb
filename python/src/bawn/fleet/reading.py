"""Reading a fleet file, so that everything that has the wrong shape is named, and not only the first."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from bawn.fleet.problems import BrokenFleet, Problem, key_of, listed
from bawn.fleet.schema import ROLES, Fleet, Model, Node, Person, Repository, Tailnet
from bawn.service.settings import Settings, read_data

_ENTRIES: Final[dict[str, Any]] = {
    "people": Person,
    "nodes": Node,
    "models": Model,
    "aliases": str,
    "repositories": Repository,
    "documents": dict[str, Any],
    "pods": dict[str, Any],
    "budgets": dict[str, Any],
}
"""What an entry of each table is."""

_GIVE: Final = {
    "name": "give the team's name",
    "tailnet": "give base_domain, and server_url (your Headscale's) or managed = true (Tailscale's)",
    "base_domain": "give the domain of the tailnet's names, such as tailnet.example.org",
    "login": "give how the tailnet knows this person, name@domain",
    "role": f"give one of {', '.join(ROLES)}",
    "file": "give the name of the weights' file, NAME.gguf",
    "size_mib": "give the memory that the weights take, in MiB",
}
"""The mend where a key is missing that must be there."""
_PLAIN: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number with a fraction",
    "bool": "true or false",
    "array": "a list",
    "object": "keys with values",
    "null": "nothing",
}
"""What the library calls a type → what the fleet's author does."""
_TYPES: Final = re.compile(r"`([a-z]+(?: \| [a-z]+)*)`")


def read_fleet(path: Path) -> Fleet:
    """The fleet in `path`, `.toml` or `.json`. It has the right shape; whether it can work, `checks` says.

    Raises:
        BrokenFleet: keys are unknown or missing, or have a value of a wrong type; names every one.
        SettingsError: the file can't be read or is not of its format.
    """
    data = read_data(path)
    if not isinstance(data, dict):
        raise BrokenFleet(str(path), [Problem("top level", "expected an object with the keys of a fleet.")])
    return to_fleet(cast("dict[str, Any]", data), origin=str(path))


def to_fleet(data: dict[str, Any], *, origin: str) -> Fleet:
    """Convert plain data; `origin` begins each line of the error message.

    Raises:
        BrokenFleet: as `read_fleet`.
    """
    wrong: list[Problem] = []
    keys = Fleet.__struct_fields__
    wrong += [Problem(key_of(key), _unknown(keys)) for key in data if key not in keys]
    found: dict[str, Any] = {
        "name": _value(data.get("name"), str, "name", wrong),
        "tailnet": _entry(data.get("tailnet"), Tailnet, "tailnet", wrong),
    }
    for table, kind in _ENTRIES.items():
        entries = data.get(table, {})
        if not isinstance(entries, dict):
            wrong.append(Problem(table, f"expected entries by name, as in `{table}.NAME = …`."))
            continue
        take = _entry if isinstance(kind, type) and issubclass(kind, Settings) else _value
        named = cast("dict[str, Any]", entries)
        found[table] = {name: take(entry, kind, key_of(table, name), wrong) for name, entry in named.items()}
    if wrong:
        raise BrokenFleet(origin, wrong)
    return Fleet(**found)


def _entry(data: object, kind: type[Settings], at: str, wrong: list[Problem]) -> Settings | None:
    """`data` as `kind`, field by field; what is wrong goes into `wrong`, and the entry is then None."""
    before = len(wrong)
    if not isinstance(data, dict):
        wrong.append(Problem(at, _missing(at) if data is None else f"expected keys: {listed(kind.__struct_fields__)}."))
        return None
    values = cast("dict[str, Any]", data)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    wrong += [Problem(key_of(at, key), _unknown(fields)) for key in values if key not in fields]
    wrong += [
        Problem(f"{at}.{key}", _missing(key)) for key, field in fields.items() if field.required and key not in values
    ]
    found = {
        key: _value(values[key], field.type, f"{at}.{key}", wrong) for key, field in fields.items() if key in values
    }
    return kind(**found) if len(wrong) == before else None


def _value(data: object, kind: Any, at: str, wrong: list[Problem]) -> Any:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        reason = _missing(at) if data is None else f"{message[0].lower()}{_TYPES.sub(_plain, message[1:])}."
        wrong.append(Problem(f"{at}{where.removesuffix('`')}", reason))
        return None


def _missing(key: str) -> str:
    return f"is missing; {_GIVE.get(key, 'give a value')}."


def _plain(types: re.Match[str]) -> str:
    return " or ".join(_PLAIN.get(name, name) for name in types[1].split(" | "))


def _unknown(known: Iterable[str]) -> str:
    return f"is not known; known: {listed(known)}."
