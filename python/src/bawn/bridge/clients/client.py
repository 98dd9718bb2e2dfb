"""What `bawn connect` can configure."""

from pathlib import Path
from typing import Protocol

from bawn.bridge.clients.connection import Connection
from bawn.contracts.errors import BawnError


class BrokenFile(BawnError):
    """An existing file that can't be read as what it should be; it was left as it is."""


class Client(Protocol):
    """One coding assistant and its configuration file, as text; nothing here touches the disk but `locate`."""

    name: str
    """As people write it."""
    token_in_file: bool
    """Whether the file holds the token itself."""

    def locate(self, project: Path | None) -> Path:
        """The file of a project, or of this user: the one that exists, else the one to create."""
        ...

    def holds_ours(self, text: str) -> bool:
        """Whether our entries are there. Raises `BrokenFile`."""
        ...

    def merged(self, text: str | None, connection: Connection) -> str:
        """`text` (None where there is no file) with our entries, everything else kept. Raises `BrokenFile`."""
        ...

    def without(self, text: str, original: str | None) -> str:
        """`text` without our entries, or with what `original` had in their place. Raises `BrokenFile`."""
        ...

    def remarks(self, text: str | None, connection: Connection) -> list[str]:
        """What the user should know about how `text` and our entries work together."""
        ...
