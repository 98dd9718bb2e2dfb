"""Walking hops in order, each in its time, up to the first that fails."""

import asyncio
import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.doctor.asking import NoAnswer
from bawn.doctor.hops import Fault, Hop


class Step(msgspec.Struct, frozen=True):
    """A hop after the walk."""

    hop: str
    state: Literal["good", "failed", "not_looked_at"]
    detail: str = ""
    seconds: float = 0.0


class Failure(msgspec.Struct, frozen=True):
    """The first hop that failed."""

    hop: str
    code: str
    wrong: str
    mend: str


class Report(msgspec.Struct, frozen=True):
    """A whole walk: what `--json` prints."""

    version: str
    roles: list[str]
    ok: bool
    hops: list[Step]
    failure: Failure | None = None


async def walk(hops: Sequence[Hop], *, roles: list[str], version: str) -> Report:
    """Look at `hops` in order; those after a failure are not looked at."""
    steps: list[Step] = []
    failure: Failure | None = None
    for hop in hops:
        if failure is not None:
            steps.append(Step(hop.name, "not_looked_at"))
            continue
        began = time.monotonic()
        try:
            async with asyncio.timeout(hop.within_s):
                seen = await hop.look()
        except Exception as error:  # noqa: BLE001 - whatever a hop meets, the walk ends with a report
            fault = _fault(hop, error)
            failure = Failure(hop.name, fault.code, fault.wrong, fault.mend)
            steps.append(Step(hop.name, "failed", seconds=_since(began)))
        else:
            steps.append(Step(hop.name, "good" if seen.looked else "not_looked_at", seen.detail, _since(began)))
    return Report(version, roles, failure is None, steps, failure)


def _fault(hop: Hop, error: Exception) -> Fault:
    if isinstance(error, Fault):
        return error
    if isinstance(error, SettingsError):
        return Fault("settings_wrong", str(error), "Mend what this names, and start the service again.")
    if not isinstance(error, (NoAnswer, TimeoutError)):
        return Fault(
            "doctor_failed",
            f"The doctor itself failed here ({type(error).__name__}).",
            "Give the output of `bawn doctor --json` to whoever maintains bawn.",
        )
    return Fault(
        "no_answer",
        f"Nothing came within {hop.within_s:g} seconds.",
        "Try again; when it stays so, restart the service that this hop looks at and read its log.",
    )


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
