"""Golden files of the Nix side: what every host runs, and the option manual, as evaluation gives them."""

import json
import re
from collections.abc import Iterator
from typing import Any

from support.nix import NIX_TESTS, ROOT, evaluate

GOLDEN = NIX_TESTS / "golden"
OPTIONS = ROOT / "docs" / "options.md"

_STORE_PATH = re.compile(r"/nix/store/[a-z0-9]{32}-([A-Za-z0-9+._?=-]+?)(?:-\d[A-Za-z0-9+._?=-]*)?(?=[/\s\":)']|$)")
_LOCALES = re.compile(r"^Environment=\"(?:LOCALE_ARCHIVE|TZDIR|PATH)=.*\n", re.MULTILINE)


def rendered_files() -> dict[str, str]:
    """Text by `host/file`; a store path is `@name@`, without hash and version. What there is: tests/nix/golden.nix.

    What NixOS itself puts into every unit (locales, time zones, its default PATH) is left out.
    """
    hosts: dict[str, dict[str, str]] = evaluate(f"import {NIX_TESTS}/golden.nix")
    return {f"{host}/{name}": _readable(name, text) for host, files in hosts.items() for name, text in files.items()}


def golden_files() -> dict[str, str]:
    """The committed texts."""
    return {
        str(path.relative_to(GOLDEN)): path.read_text(encoding="utf-8")
        for path in sorted(GOLDEN.rglob("*"))
        if path.is_file()
    }


def _readable(name: str, text: str) -> str:
    text = _LOCALES.sub("", _STORE_PATH.sub(r"@\1@", text))
    if name.endswith(".json"):
        text = json.dumps(json.loads(text), indent=2, sort_keys=True)
    elif name.endswith(".nft"):
        text = _indented(text)
    return text.strip() + "\n"


def _indented(rules: str) -> str:
    """nftables rules without the empty lines that unused parts of their template leave."""
    depth, lines = 0, []
    for line in (line.strip() for line in rules.splitlines()):
        depth -= line.startswith("}")
        if line:
            lines.append("  " * depth + line)
        depth += line.endswith("{")
    return "\n".join(lines)


def rendered_options() -> str:
    """`docs/options.md`."""
    options: dict[str, list[dict[str, Any]]] = evaluate(f"import {NIX_TESTS}/options.nix")
    parts = [
        "# Options of the NixOS modules\n",
        "Generated from the modules by `make golden`; a test compares it with them. Those of `homeModules.bridge`, for"
        " home-manager, are [at the end](#options-of-homemodulesbridge).\n",
        *_listed(options["nixos"]),
        "# Options of homeModules.bridge\n",
        *_listed(options["home"]),
    ]
    return re.sub(r"/nix/store/[a-z0-9]{32}-", "", "\n".join(parts))


def _listed(options: list[dict[str, Any]]) -> Iterator[str]:
    for option in sorted(options, key=lambda option: str(option["name"])):
        yield f"## `{option['name']}`\n"
        yield f"{str(option['description'] or '').strip()}\n"
        facts = [f"- type: {option['type']}{', read-only' if option['readOnly'] else ''}"]
        facts += [f"- {key}: {_code(option[key])}" for key in ("default", "example") if option[key] is not None]
        yield "\n".join(facts) + "\n"


def _code(text: str) -> str:
    one_line = " ".join(text.split())
    return f"`{one_line}`"
