"""Which files of a package are its documentation."""

import email.parser
import email.policy
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from bawn.indexer.libraries.archives import Archive, Member, WrongArchive
from bawn.indexer.libraries.hashes import go_hash
from bawn.indexer.libraries.library import Library
from bawn.indexer.libraries.locks.tables import table, text

RULES: Final = 1
"""Version of what is kept; with another one all archives are fetched again."""
MOST_FILES: Final = 500
MOST_BYTES: Final = 4_000_000
"""Of one library."""
MOST_TYPES: Final = 1_000_000
"""Bytes of them in declarations of types."""
CHANGES: Final = 100_000
"""Bytes of a list of changes that are kept: the newest stand first."""
_MOST_FILE: Final = 1 << 20
_DEEPEST: Final = 20

_DOCUMENTS: Final = frozenset({".adoc", ".asciidoc", ".htm", ".html", ".markdown", ".md", ".mdx", ".rst", ".txt"})
_MARKED_UP: Final = frozenset({".adoc", ".asciidoc", ".markdown", ".md", ".mdx", ".rst"})
_EXAMPLES: Final = frozenset(
    {".c", ".cpp", ".cs", ".go", ".java", ".js", ".jsx", ".kt", ".mjs", ".php", ".py", ".rb", ".rs", ".ts", ".tsx"}
)
_DOCS_FOLDERS: Final = frozenset({"doc", "docs", "documentation", "guide", "guides", "manual"})
_EXAMPLE_FOLDERS: Final = frozenset({"example", "examples"})
_NOT_IN: Final = frozenset(
    {
        "__tests__", "_build", "_static", "_templates", "_themes", "_vendor", "benches", "benchmark", "benchmarks",
        "compiled", "fixtures", "locale", "locales", "node_modules", "site-packages", "spec", "test", "testdata",
        "tests", "third-party", "third_party", "vendor", "vendored",
    }
)  # fmt: skip
_README: Final = re.compile(r"readme(?:\.[a-z]+)?$")
_TRANSLATED: Final = re.compile(r"readme[._-](?!en\b)[a-z]{2}(?:[-_][a-z]{2,4})?\.")
_CHANGES: Final = re.compile(r"(?:change-?s?|change[-_]?log|history|news|release[-_ ]?notes|releases)(?:\.[a-z]+)?$")
_NOT_NAMED: Final = re.compile(
    r"(?:authors|backers|cmakelists|code[-_]of[-_]conduct|codeowners|contribut\w*|copying|copyright|credits|governance"
    r"|issue_template|licen[cs]es?|maintainers|notice|patents|pull_request_template|requirements|robots|security|thanks"
    r"|third[-_ ]?party\w*)(?:[-._].*)?$"
)
_WHEEL_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA")
_TYPES_ENTRY: Final = ("types", "typings")


class Unpacked(msgspec.Struct, frozen=True, array_like=True):
    """The documentation in an archive."""

    files: list[tuple[str, bytes]] = []
    """By path in the package."""
    wrong: str = ""
    """Why the archive is not taken; then there are no files."""


def documentation(archive: Path, library: Library) -> Unpacked:
    """What an archive of `library` has of documentation, the most telling first where it is more than is kept."""
    try:
        return Unpacked(_kept(Archive(archive), library))
    except WrongArchive as error:
        return Unpacked(wrong=f"its archive {error}")
    except MemoryError:
        return Unpacked(wrong="its archive takes too much memory")


def _kept(archive: Archive, library: Library) -> list[tuple[str, bytes]]:
    sums = [one for one in library.hashes if one.startswith("h1:")]
    if sums and go_hash((member.path, member.digest()) for member in archive.members()) not in sums:
        raise WrongArchive("is not the one that the lock file means: its hash is another")
    sizes: dict[str, int] = {}
    for member in archive.members():
        sizes.setdefault(member.path, member.size)
    root = _root(list(sizes), library)
    manifest = _first(archive, f"{root}package.json") if library.ecosystem == "npm" else b""
    within = {path.removeprefix(root): size for path, size in sizes.items() if path.startswith(root)}
    wanted = _Choice(library, within, manifest).paths()
    found: dict[str, bytes] = {}
    metadata = b""
    for member in archive.members():
        path = member.path.removeprefix(root)
        if path in wanted and path not in found and member.path.startswith(root):
            found[path] = _changes(member) if _is_changes(path) else member.read(_MOST_FILE)
        elif library.ecosystem == "pypi" and (path == "PKG-INFO" or _WHEEL_METADATA.fullmatch(path)):
            metadata = member.read(_MOST_FILE)
    readme = _description(metadata) if not any(_README.match(path.lower()) for path in found) else []
    return readme + [(path, found[path]) for path in wanted if path in found]


def _root(names: Sequence[str], library: Library) -> str:
    """The folder that the whole package lies in, with `/` at its end; empty where there is none."""
    if library.ecosystem == "go":
        return f"{library.name}@{library.version}/"
    first = {name.partition("/")[0] for name in names}
    (only,) = first if len(first) == 1 else ("",)
    is_folder = only and not only.endswith(".dist-info") and all("/" in name for name in names)
    return f"{only}/" if is_folder else ""


def _first(archive: Archive, path: str) -> bytes:
    return next((member.read(_MOST_FILE) for member in archive.members() if member.path == path), b"")


class _Choice:
    """Which paths are kept, and in what order."""

    def __init__(self, library: Library, sizes: Mapping[str, int], manifest: bytes) -> None:
        self._library = library
        self._sizes = sizes
        self._types = _types(manifest, list(sizes)) if library.ecosystem == "npm" else ""

    def paths(self) -> list[str]:
        """Those that are kept, in the order of their worth."""
        weights = {path: weight for path in self._sizes if (weight := self._weight(path)) is not None}
        kept: list[str] = []
        left, types_left = MOST_BYTES, MOST_TYPES
        for path in sorted(weights, key=lambda path: (weights[path], path.count("/"), path)):
            size = min(self._sizes[path], CHANGES) if _is_changes(path) else self._sizes[path]
            is_types = weights[path] == _TYPES
            if size <= min(left, _MOST_FILE, types_left if is_types else size) and len(kept) < MOST_FILES:
                left -= size
                types_left -= size if is_types else 0
                kept.append(path)
        return kept

    def _weight(self, path: str) -> int | None:
        """How early it comes, from 0; None: it is no documentation."""
        pure = PurePosixPath(path)
        name, suffix, folders = pure.name.lower(), pure.suffix.lower(), [part.lower() for part in pure.parts[:-1]]
        if not _is_plain(path) or len(folders) > _DEEPEST or _NOT_NAMED.match(name) or _TRANSLATED.match(name):
            return None
        if any(part in _NOT_IN or part.startswith(".") or part.endswith("-info") for part in folders):
            return None
        if not folders and _README.match(name):
            return 0
        if (weight := self._of_source(path, name, suffix)) is not None:
            return weight
        if _CHANGES.match(name) and (not folders or suffix in _MARKED_UP):
            return _LAST
        if suffix in _DOCUMENTS and (_DOCS_FOLDERS & set(folders)):
            return 2
        if suffix in _EXAMPLES | _MARKED_UP and _EXAMPLE_FOLDERS & set(folders):
            return 3
        return (1 if not folders else 4) if suffix in _MARKED_UP else None

    def _of_source(self, path: str, name: str, suffix: str) -> int | None:
        """Of source that its ecosystem keeps documentation in."""
        ecosystem = self._library.ecosystem
        if ecosystem == "cargo" and path == "src/lib.rs":
            return 1
        if ecosystem == "go" and suffix == ".go":
            return 1 if name == "doc.go" else 3 if name.startswith("example") and name.endswith("_test.go") else None
        if ecosystem == "npm" and name.endswith(".d.ts"):
            if path == self._types:
                return 1
            below = self._types.rpartition("/")[0]
            return _TYPES if self._types and path.startswith(f"{below}/" if below else "") else None
        return None


_TYPES: Final = 5
_LAST: Final = 6


def _types(manifest: bytes, paths: Sequence[str]) -> str:
    """Where a package of npm declares its types; empty: nowhere."""
    try:
        told: dict[str, Any] = table(json.loads(manifest))
    except (ValueError, RecursionError):
        told = {}
    declared = next((value for key in _TYPES_ENTRY if (value := text(told.get(key)))), "")
    at = told.get("exports")
    while not declared and isinstance(at, dict):
        here = table(at)
        declared = text(here.get("types"))
        at = next((here[key] for key in (".", "types", "import", "default", "require") if key in here), None)
    declared = declared.removeprefix("./")
    for place in (declared, f"{declared}.d.ts", f"{declared.rstrip('/')}/index.d.ts", "index.d.ts"):
        if place and place in paths and place.endswith(".d.ts"):
            return place
    return ""


def _description(metadata: bytes) -> list[tuple[str, bytes]]:
    """The README that the metadata of a Python package has in it, if any."""
    parsed = email.parser.Parser(policy=email.policy.compat32).parsestr(metadata.decode(errors="replace"))
    body = parsed.get_payload()
    described = body if isinstance(body, str) and body.strip() else str(parsed.get("Description") or "")
    kind = str(parsed.get("Description-Content-Type") or "").partition(";")[0].strip().lower()
    suffix = {"text/markdown": ".md", "text/plain": ".txt"}.get(kind, ".rst")
    return [(f"README{suffix}", described.encode(errors="replace"))] if described.strip() else []


def _is_changes(path: str) -> bool:
    return _CHANGES.match(PurePosixPath(path).name.lower()) is not None


def _changes(member: Member) -> bytes:
    content = member.read(CHANGES + 1)
    return content if len(content) <= CHANGES else content[:CHANGES].rpartition(b"\n")[0] + b"\n"


def _is_plain(path: str) -> bool:
    """Whether it can be a path on any disk, and be shown."""
    return path.isprintable() and all(
        part not in ("", ".") and len(part.encode(errors="replace")) <= 200 for part in path.split("/")
    )
