"""Reading a fleet file, so that every entry that has the wrong shape is named, and not only the first."""

import re
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from bawn.fleet.problems import BrokenFleet, Problem, listed
from bawn.fleet.schema import Fleet, Model, Node, Person, Repository, Tailnet
from bawn.service.settings import read_data

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
    keys = Fleet.__struct_fields__
    wrong = [Problem(key, f"is not known; known: {listed(keys)}.") for key in data if key not in keys]
    found: dict[str, Any] = {
        "name": _entry(data.get("name"), str, "name", wrong),
        "tailnet": _entry(data.get("tailnet"), Tailnet, "tailnet", wrong),
    }
    for table, kind in _ENTRIES.items():
        entries = data.get(table, {})
        if isinstance(entries, dict):
            named = cast("dict[str, Any]", entries)
            found[table] = {name: _entry(entry, kind, f"{table}.{name}", wrong) for name, entry in named.items()}
        else:
            wrong.append(Problem(table, f"expected entries by name, as in `{table}.NAME = …`."))
    if wrong:
        raise BrokenFleet(origin, wrong)
    return Fleet(**found)


def _entry(data: object, kind: Any, key: str, wrong: list[Problem]) -> Any:
    """`data` as `kind`; where it can't be that, None and one more entry in `wrong`."""
    if data is None:
        wrong.append(Problem(key, "is missing."))
        return None
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        wrong.append(_problem(str(error), kind, key))
        return None


def _problem(text: str, kind: Any, key: str) -> Problem:
    message, _, at = text.partition(" - at `$")
    field = re.search(r"field `(.*)`", message, re.DOTALL)
    if field is None:
        return Problem(f"{key}{at.removesuffix('`')}", f"{message[0].lower()}{message[1:]}.")
    if "unknown" in message:
        return Problem(f"{key}.{field[1]}", f"is not known; known: {listed(kind.__struct_fields__)}.")
    return Problem(f"{key}.{field[1]}", "is missing.")
