"""Whether an archive is the one that a lock file means."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_PLAIN: Final = ("sha512", "sha384", "sha256", "sha1")
_BLOCK: Final = 1 << 20


def is_right(archive: Path, hashes: Sequence[str]) -> bool:
    """Whether one of the `hashes` is the file's; Go's, which are of what is in it, are looked at by `go_hash`.

    Without a hash that can be looked at, every file is right.
    """
    plain = {one.partition(":")[0]: hashlib.new(one.partition(":")[0]) for one in hashes if _kind(one) in _PLAIN}
    if not plain:
        return not hashes or any(_kind(one) == "h1" for one in hashes)
    with archive.open("rb") as file:
        while data := file.read(_BLOCK):
            for digest in plain.values():
                digest.update(data)
    return any(_kind(one) in plain and plain[_kind(one)].hexdigest() == one.partition(":")[2] for one in hashes)


def go_hash(files: Iterable[tuple[str, bytes]]) -> str:
    """Go's hash of a module's files, given by name with the SHA-256 of each: `dirhash.Hash1` of golang.org/x/mod."""
    lines = "".join(f"{digest.hex()}  {name}\n" for name, digest in sorted(files))
    return f"h1:{base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()}"


def _kind(one: str) -> str:
    return one.partition(":")[0]
