"""What a path says of a file: its language, and whether it is code that somebody would look for, a test or prose."""

import re
from pathlib import PurePosixPath
from typing import Final

LANGUAGES: Final = {
    ".py": "python", ".pyi": "python",
    ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "typescript",
    ".rs": "rust",
    ".c": "c",
    ".h": "cpp", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hh": "cpp", ".hpp": "cpp",
}  # fmt: skip
PROSE: Final = frozenset({".md", ".rst", ".txt"})
OTHERS: Final = frozenset({".pyx", ".pxd", ".toml", ".cfg", ".ini", ".json", ".yaml", ".yml", ".sh", ".html"})
"""Files that are searched along and have no answers."""

_ASIDE: Final = frozenset(
    {
        "test", "tests", "testing", "__tests__", "spec", "specs", "test_utils", "testdata", "fixtures", "e2e",
        "doc", "docs", "documentation", "example", "examples", "tutorial", "bench", "benches", "benchmark",
        "benchmarks", "vendor", "vendored", "_vendor", "third_party", "external", "vendored-meson", "node_modules",
    }
)  # fmt: skip
_TESTS: Final = frozenset({"test", "tests", "__tests__", "spec", "specs", "e2e"})
_TEST_NAME: Final = re.compile(r"^test_|_test\.|\.test\.|\.spec\.|^conftest\.py$|^tests?\.")
_LOG_NAME: Final = re.compile(r"^(?:change(?:s|log|_log)?|history|news|releases?)\b", re.IGNORECASE)
_LOG_FOLDERS: Final = frozenset({"changelog", "changes", "releases", "releasenotes", "newsfragments", "whatsnew"})


def language(path: str) -> str:
    """Of code; empty for other files."""
    return LANGUAGES.get(PurePosixPath(path).suffix.lower(), "")


def is_text(path: str) -> bool:
    """Whether it is a file that is searched."""
    suffix = PurePosixPath(path).suffix.lower()
    return suffix in LANGUAGES or suffix in PROSE or suffix in OTHERS


def is_test(path: str) -> bool:
    """Whether it is a test."""
    pure = PurePosixPath(path)
    return bool(_TESTS & {part.lower() for part in pure.parts[:-1]}) or bool(_TEST_NAME.search(pure.name))


def is_source(path: str) -> bool:
    """Whether it is code of the project proper: no stub, no test, no example, nobody else's."""
    folders = {part.lower() for part in PurePosixPath(path).parts[:-1]}
    return bool(language(path)) and not path.endswith(".pyi") and not is_test(path) and not folders & _ASIDE


def is_log(path: str) -> bool:
    """Whether it tells what changed from version to version."""
    pure = PurePosixPath(path)
    if pure.suffix.lower() not in PROSE | {""}:
        return False
    return bool(_LOG_NAME.match(pure.name)) or bool(_LOG_FOLDERS & {part.lower() for part in pure.parts[:-1]})
