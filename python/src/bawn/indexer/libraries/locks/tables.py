"""Looks into what TOML and JSON files hold, where anything may be anything."""

from collections.abc import Iterator
from typing import Any, cast


def table(value: object) -> dict[str, Any]:
    """`value` if it is a table, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def tables(value: object) -> list[dict[str, Any]]:
    """The tables in a list, if it is one."""
    listed = cast("list[object]", value) if isinstance(value, list) else []
    return [table(one) for one in listed if isinstance(one, dict)]


def texts(value: object) -> list[str]:
    """The texts in a list, if it is one."""
    listed = cast("list[object]", value) if isinstance(value, list) else []
    return [one for one in listed if isinstance(one, str)]


def text(value: object) -> str:
    """`value` if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def each(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables in a table, by their names."""
    for key, one in table(value).items():
        if isinstance(one, dict):
            yield key, table(one)
