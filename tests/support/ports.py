"""Free loopback ports."""

import os
import random
import socket
from typing import Final

_FIRST: Final = 10_000
_LAST: Final = 32_000
"""Below those that the system gives to whoever connects."""
_WORKERS: Final = 16
_random: Final = random.SystemRandom()  # whatever a test seeds
_given: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on, and that no other test is given, of this worker or of another.

    Who is given one listens there a second later only. granian shares a port with whoever asks it to share: were two
    given the same, requests to the one would be answered by the other.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    if len(_given) > (_LAST - _FIRST) // _WORKERS // 2:
        _given.clear()  # the first were given long ago
    while True:
        port = _random.randrange(_FIRST, _LAST, _WORKERS) + worker
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
