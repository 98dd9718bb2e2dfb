"""Cargo.lock."""

import tomllib
from typing import Final

from bawn.indexer.libraries.library import Library, origin_of
from bawn.indexer.libraries.locks.tables import tables, text, texts

PUBLIC: Final = frozenset({"github.com", "index.crates.io"})
_CRATES_IO: Final = "https://github.com/rust-lang/crates.io-index"


def cargo_lock(content: str, _manifest: str | None, *, every: bool) -> list[Library]:
    """Of `Cargo.lock`; direct are the dependencies of the packages that have no source: those of the workspace."""
    packages = tables(tomllib.loads(content).get("package"))
    direct = {
        # `name`, `name version`, or `name version (source)`: as much as tells it apart.
        tuple(dependency.split(" ")[:2])
        for package in packages
        if "source" not in package
        for dependency in texts(package.get("dependencies"))
    }
    found: list[Library] = []
    for package in packages:
        name, version, source = (text(package.get(key)) for key in ("name", "version", "source"))
        kind, _, address = source.partition("+")
        if kind not in ("registry", "sparse") or not (every or {(name,), (name, version)} & direct):
            continue
        checksum = text(package.get("checksum"))
        # Only one registry lies in a repository at GitHub that is public for all.
        public = PUBLIC if kind == "sparse" or address == _CRATES_IO else PUBLIC - {"github.com"}
        hashes = [f"sha256:{checksum}"] if checksum else []
        found.append(Library("cargo", name, version, hashes, origin_of(address, public)))
    return found
