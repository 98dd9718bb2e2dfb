"""What a bundle says of itself: the first file of its archive, and beside the files where it is unpacked."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from bawn.contracts.search import Index
from bawn.indexer.linguist import Declared

NAME: Final = "bawn-bundle.json"
FILES: Final = "files"
"""Folder of the files."""
FORMAT: Final = 1
MOST_FILES: Final = 200_000
MOST_BYTES: Final = 2 << 30
"""Of all files of a bundle."""
MOST_MANIFEST: Final = 32 << 20
"""Bytes."""

_Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]*\Z", max_length=300)]


class WrongBundle(Exception):
    """It can't be what `bawn index bundle` makes; the text says why."""


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file itself doesn't tell."""

    extracted: Literal["docx", "page", "pdf"] | None = None
    """Of a document whose text is packed in its place, the language that it is cut as."""
    declared: Declared = {}
    """What `.gitattributes` says of its kind."""


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """`bawn-bundle.json`."""

    format: int
    rules: int
    """Version of the rules by which secrets were masked."""
    name: _Text
    files: Annotated[int, msgspec.Meta(ge=0, le=MOST_FILES)]
    bytes: Annotated[int, msgspec.Meta(ge=0, le=MOST_BYTES)]
    """Of all files together."""
    index: Index = "code"
    """The index that it was packed for: of documentation, web pages are documents."""
    branch: _Text = ""
    commit: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{0,64}\Z")] = ""
    """Both empty where no git repository was packed. Of a work tree there may be uncommitted changes beside it."""
    project: str | None = None
    include: list[str] = []
    exclude: list[str] = []
    """What was chosen of the repository."""
    left_out: dict[str, int] = {}
    """Files and folders that are not in it, by reason."""
    masked: dict[str, int] = {}
    """Places, by rule."""
    notes: dict[str, Note] = {}
    """By path, of those files of which there is something to say."""


class _Head(msgspec.Struct):
    format: Any = None


def decode_manifest(raw: bytes) -> Manifest:
    """The manifest in `raw`.

    Raises:
        WrongBundle: it is none, of another format, or says what can't be.
    """
    try:
        version = msgspec.json.decode(raw, type=_Head).format
        if version != FORMAT:
            raise WrongBundle(f"is a bundle of format {str(version)[:20]!r}, and this version reads {FORMAT}")
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise WrongBundle(f"has a manifest that can't be read: {error}") from error


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle that was unpacked into `folder`.

    Raises:
        WrongBundle: it is damaged.
        OSError: it is not there, or can't be read.
    """
    return decode_manifest((folder / NAME).read_bytes())
