"""What sort of file it is, and whether it belongs in a search index."""

import re
from pathlib import PurePosixPath
from typing import Final, Literal

from bawn.indexer.languages import language_of
from bawn.indexer.linguist import Declared
from bawn.indexer.secrets.files import is_key_file
from bawn.indexer.secrets.masking import mask_path
from bawn.search.documents import Kind

MAX_BYTES: Final = 1 << 20
_MAX_DOCUMENT: Final = {"docx": 32_000_000, "html": 4_000_000, "pdf": 32_000_000}
"""A document may be larger than source, by its language: most of it is pictures, fonts and markup."""

SkipReason = Literal[
    "too_large", "binary", "minified", "lock_file", "ignored", "key_file", "secret_in_path", "unreadable", "vanished",
    "not_a_file", "encrypted", "damaged", "no_text", "failed",
]  # fmt: skip

_LOCK_FILES: Final = frozenset(
    {
        "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "uv.lock",
        "poetry.lock", "pdm.lock", "pipfile.lock", "cargo.lock", "go.sum", "go.work.sum", "gemfile.lock",
        "composer.lock", "flake.lock", "mix.lock", "packages.lock.json", "gradle.lockfile", ".terraform.lock.hcl",
    }
)  # fmt: skip
_TEST_FOLDERS: Final = frozenset({"test", "tests", "__tests__", "spec", "specs", "testdata", "e2e", "fixtures"})
_TEST_NAME: Final = re.compile(
    r"(?:^test_|_test\.|\.test\.|\.spec\.|_spec\.|^conftest\.py$|Tests?\.(?:java|kt|cs|scala|swift)$)"
)
_DOCS_FOLDERS: Final = frozenset({"doc", "docs", "documentation", "examples", "example"})
_DOCS_LANGUAGES: Final = frozenset({"docx", "markdown", "page", "pdf", "rst"})
_DOCS_NAME: Final = re.compile(
    r"^(?:readme|changelog|changes|history|news|authors|contributing|licen[cs]e|copying|notice)\b", re.IGNORECASE
)
_VENDORED_FOLDERS: Final = frozenset(
    {
        "vendor",
        "vendored",
        "_vendor",
        "third_party",
        "third-party",
        "thirdparty",
        "node_modules",
        "external",
        "site-packages",
    }
)
_GENERATED_NAME: Final = re.compile(
    r"(?:_pb2(?:_grpc)?\.pyi?|\.pb\.(?:go|cc|h)|\.g\.(?:cs|dart)|\.generated\.|_generated\.|\.snap$|^zz_generated)"
)
_GENERATED_MARK: Final = re.compile(
    r"^\W*(?:code generated .*do not edit|@generated\b"
    r"|(?:this file (?:is|was) )?auto-?generated\b.*(?:do not|don't) (?:edit|modify))",
    re.IGNORECASE | re.MULTILINE,
)
_BY_WEIGHT: Final[tuple[Kind, ...]] = ("vendored", "generated", "test", "docs")
"""Of what a file is at once, the first counts."""
_MIN_NAME: Final = re.compile(r"[.-]min\.(?:js|css|mjs)$|\.(?:js|css)\.map$|\.bundle\.js$")
_MINIFIABLE: Final = frozenset({"javascript", "typescript", "css", "json", "html", "xml", "text"})


def skip_by_name(path: str) -> SkipReason | None:
    """Why a file of this path stays out whatever it holds; None where it does not."""
    name = PurePosixPath(path).name.lower()
    if name in _LOCK_FILES:
        return "lock_file"
    if is_key_file(path):
        return "key_file"
    if mask_path(path) != path:
        return "secret_in_path"
    return "minified" if _MIN_NAME.search(name) else None


def max_bytes(path: str) -> int:
    """Size above which a file of this path is not read."""
    return _MAX_DOCUMENT.get(language_of(path), MAX_BYTES)


def skip_by_content(content: bytes, language: str) -> SkipReason | None:
    """Why a file of this content stays out; None where it does not."""
    if len(content) > MAX_BYTES:
        return "too_large"
    if b"\0" in content[:8_192] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "binary"
    if language in _MINIFIABLE and len(content) > 4_096 and len(content) / (content.count(b"\n") + 1) > 400:
        return "minified"
    return None


def decode(content: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 by its mark, else Latin-1, in which every byte is a character."""
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16").replace("\0", "")
        return content.decode("utf-8-sig").replace("\0", "")
    except UnicodeDecodeError:
        return content.decode("latin-1").replace("\0", "")


def kind_of(path: str, language: str, text: str, declared: Declared | None = None) -> Kind:
    """What sort of file it is: a test, documentation, somebody else's, made by a program, or plain source.

    What is `declared` counts before what we guess.
    """
    declared = declared or {}
    guesses = _guesses(path, language, text)
    for kind in _BY_WEIGHT:
        if declared.get(kind):
            return kind
    for kind in _BY_WEIGHT:
        if kind in guesses and declared.get(kind, True):
            return kind
    return "source"


def _guesses(path: str, language: str, text: str) -> set[Kind]:
    pure = PurePosixPath(path)
    folders = {folder.lower() for folder in pure.parts[:-1]}
    found: set[Kind] = set()
    if folders & _VENDORED_FOLDERS:
        found.add("vendored")
    if _GENERATED_NAME.search(pure.name) or _GENERATED_MARK.search(text[:1_000]):
        found.add("generated")
    if folders & _TEST_FOLDERS or _TEST_NAME.search(pure.name):
        found.add("test")
    if language in _DOCS_LANGUAGES or folders & _DOCS_FOLDERS or _DOCS_NAME.search(pure.name):
        found.add("docs")
    return found
