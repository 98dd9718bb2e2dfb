"""Who may use the gateway, and what it goes by."""

from typing import Final, Literal

from bawn.contracts.search import Index
from bawn.service.settings import Settings

Identity = Literal["key", "tailnet", "key+tailnet"]
"""What a caller is known by: an API key, the tailnet node that it calls from, or both, which must be one person's."""

SOCKET: Final = "/run/tailscale/tailscaled.sock"
"""Where tailscaled listens on Linux, as its own unit sets it."""


class PersonSettings(Settings, frozen=True):
    """Somebody who uses the gateway. API keys name this person by the key in `people`."""

    login: str
    """How the tailnet knows this person, e.g. `ada@example.org`."""
    models: list[str] = []
    """Models or aliases that this person may use."""
    indexes: list[Index] = []
    """Search indexes that this person may look into."""
    nodes: list[str] = []
    """Names of this person's nodes, for records: a call from another node of theirs is recorded without its name."""


def same_login(login: str) -> str:
    """The form in which logins are compared: a Headscale user without e-mail is `ada@` in policies, `ada` in whois."""
    return login.casefold().removesuffix("@")
