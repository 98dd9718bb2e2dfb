"""Where a repository may be fetched from: the forms that its address has in a fleet and on the command line."""

import re
from typing import Final

_SCP: Final = re.compile(r"\w[\w.-]*@\w[\w.-]*:(?!//)[^\s\0-][^\s\0]*")
_URL: Final = re.compile(r"(https|ssh)://(\w[^/@\s\0]*@)?\w[\w.-]*(:\d+)?(/[^\s\0]*)?")


def is_address(text: str) -> bool:
    """Whether it is written as the address of a repository, right or wrong, and not as a path."""
    return "://" in text or "::" in text or bool(_SCP.fullmatch(text))


def protocol(address: str) -> str:
    """Of a right address: `https` or `ssh`."""
    return "https" if address.startswith("https://") else "ssh"


def wrong_address(address: str) -> str | None:
    """What is wrong with the address of a repository that is to be fetched; None: nothing."""
    parsed = _URL.fullmatch(address)
    if parsed is None and not _SCP.fullmatch(address):
        return f"{address!r} is no address to fetch from; take https://…, ssh://… or git@host:path."
    if parsed is not None and parsed[2] and (parsed[1] == "https" or ":" in parsed[2]):
        return "has a user or a secret in it, which everybody could read; put the token into a file of its own."
    return None
