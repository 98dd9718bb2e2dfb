"""What `/health` and `/ready` answer, on every service."""

from typing import Literal

import msgspec


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """`/health`: the process lives. `state` tells how far it is."""

    state: Literal["loading", "ready", "degraded", "draining"]
    version: str
    loop_age_s: float | None = None
    """Seconds since the decode loop last went round (model server)."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a service needs: an upstream, an index, its gateway."""

    name: str
    ok: bool
    error: str | None = None
    """Error class."""


class Ready(msgspec.Struct, frozen=True):
    """`/ready`: 200 when `ready`, else 503."""

    ready: bool
    parts: list[Part]
