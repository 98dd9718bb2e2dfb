"""Golden files of the Nix side: unit texts and the option manual, as evaluation gives them."""

import re
from typing import Any

from support.nix import NIX_TESTS, ROOT, evaluate

GOLDEN = NIX_TESTS / "golden"
OPTIONS = ROOT / "docs" / "options.md"

_STORE_PATH = re.compile(r"/nix/store/[a-z0-9]{32}-([A-Za-z0-9+._?=-]+?)(?:-\d[A-Za-z0-9+._?=-]*)?(?=[/\s\":]|$)")
_LOCALES = re.compile(r"^Environment=\"(?:LOCALE_ARCHIVE|TZDIR|PATH)=.*\n", re.MULTILINE)


def rendered_units() -> dict[str, str]:
    """Unit texts by `host/unit`; a store path is `@name@`, without hash and version.

    What NixOS itself puts into every unit (locales, time zones, its default PATH) is left out.
    """
    hosts: dict[str, dict[str, str]] = evaluate(f"import {NIX_TESTS}/units.nix")
    return {
        f"{host}/{unit}": _LOCALES.sub("", _STORE_PATH.sub(r"@\1@", text)).strip() + "\n"
        for host, units in hosts.items()
        for unit, text in units.items()
    }


def golden_units() -> dict[str, str]:
    """The committed texts."""
    return {
        str(path.relative_to(GOLDEN)): path.read_text(encoding="utf-8")
        for path in sorted(GOLDEN.rglob("*"))
        if path.is_file()
    }


def rendered_options() -> str:
    """`docs/options.md`."""
    options: list[dict[str, Any]] = evaluate(f"import {NIX_TESTS}/options.nix")
    parts = [
        "# Options of the NixOS modules\n",
        "Generated from the modules by `make golden`; a test compares it with them.\n",
    ]
    for option in sorted(options, key=lambda option: str(option["name"])):
        parts.append(f"## `{option['name']}`\n")
        parts.append(f"{str(option['description'] or '').strip()}\n")
        facts = [f"- type: {option['type']}{', read-only' if option['readOnly'] else ''}"]
        facts += [f"- {key}: {_code(option[key])}" for key in ("default", "example") if option[key] is not None]
        parts.append("\n".join(facts) + "\n")
    return re.sub(r"/nix/store/[a-z0-9]{32}-", "", "\n".join(parts))


def _code(text: str) -> str:
    one_line = " ".join(text.split())
    return f"`{one_line}`"
