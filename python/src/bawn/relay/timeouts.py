"""The four named timeouts of a hop."""

from bawn.service.settings import Settings


class Timeouts(Settings, frozen=True):
    """Seconds. Each is a setting, since a cold GPU and a warm one want other values."""

    connect_s: float = 5.0
    """Until the upstream has accepted a connection."""
    first_byte_s: float = 600.0
    """From the request's last byte to the answer's first: queueing and prefill lie in here."""
    between_chunks_s: float = 300.0
    """Longest silence within an answer."""
    total_s: float = 3600.0
    """The whole request."""
