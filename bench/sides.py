"""Sides of a comparison: each is measured in turn, and one that fails says why and is left out from then on."""

import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Final

import aiohttp

from bench.client import Client, Refused
from bench.report import Row, middle, row, spread
from bench.servers import START, Dialect, NotStarted, Serving

NAMES: Final[Mapping[Dialect, str]] = {
    "bawn": "bawn",
    "llama.cpp": "llama.cpp's server",
    "llama-cpp-python": "llama-cpp-python's server",
}

_COUNTS_AGREE: Final = 0.01

Measured = Mapping[str, float | Sequence[float]]


class Side:
    """One server, or why there is none, and what was measured of it."""

    def __init__(self, dialect: Dialect, *, name: str = "", client: Client | None = None, reason: str = "") -> None:
        self.dialect: Dialect = dialect
        self.name = name or NAMES[dialect]
        self.client = client
        self.reason = reason
        self.remarks: list[str] = []
        self.samples: defaultdict[str, list[float]] = defaultdict(list)

    @property
    def works(self) -> bool:
        """Whether it can still be measured."""
        return self.client is not None and not self.reason

    @property
    def notes(self) -> list[str]:
        """What a reader of its figures must know."""
        differs = self.client.server.note if self.client is not None else ""
        failed = f"{self.name}: {self.reason}" if self.reason else ""
        return [note for note in (differs, failed, *self.remarks) if note]

    async def measure(self, measure: Callable[[Client], Awaitable[Measured]]) -> None:
        """Add what `measure` brings; its failure is the end of this side."""
        if self.client is None or self.reason:
            return
        try:
            for key, values in (await measure(self.client)).items():
                self.samples[key] += [values] if isinstance(values, int | float) else values
        except (aiohttp.ClientError, Refused) as error:
            self.reason = f"{type(error).__name__}: {error}"
        except TimeoutError:
            self.reason = "it took too long"

    async def check_counts(self) -> None:
        """Remark it where the server's metrics count other prompt tokens than its answers."""

        async def check(client: Client) -> Measured:
            counted = await client.counted_fed()
            if abs(counted - client.fed_tokens) > _COUNTS_AGREE * max(counted, client.fed_tokens):
                told = f"{client.fed_tokens:,.0f} tokens fed by its answers, {counted:,.0f} by its metrics"
                self.remarks.append(f"{self.name}: {told}")
            return {}

        await self.measure(check)

    def absorb(self, other: "Side") -> None:
        """Add what was measured of another server that stands for the same side."""
        for key, values in other.samples.items():
            self.samples[key] += values
        self.client = self.client or other.client
        self.reason = self.reason or other.reason


@contextlib.asynccontextmanager
async def side(dialect: Dialect, serving: Serving, *, name: str = "") -> AsyncGenerator[Side]:
    """A side whose server runs, or couldn't be started."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(START[dialect](serving))
        except NotStarted as error:
            yield Side(dialect, name=name, reason=f"not started: {error}")
            return
        client = await stack.enter_async_context(Client(server))
        yield Side(dialect, name=name, client=client)


@contextlib.asynccontextmanager
async def both(serving: Serving, *others: Dialect) -> AsyncGenerator[list[Side]]:
    """Our side and others, with the same settings; llama.cpp's server if no other is named."""
    async with contextlib.AsyncExitStack() as stack:
        dialects: Sequence[Dialect] = ("bawn", *(others or ("llama.cpp",)))
        yield [await stack.enter_async_context(side(dialect, serving)) for dialect in dialects]


async def in_turn(sides: Sequence[Side], round_: int, measure: Callable[[Client], Awaitable[Measured]]) -> None:
    """Measure each side once; who goes first changes from round to round, so that a drift hits all alike."""
    at = round_ % len(sides)
    for one in [*sides[at:], *sides[:at]]:
        await one.measure(measure)


def compared(
    name: str,
    key: str,
    mine: Side,
    other: Side,
    unit: str,
    bar: str,
    *,
    of: Callable[[Sequence[float]], float | None] = middle,
    said: str = "median",
) -> Row:
    """A row of both sides' samples of `key`, with their spread."""
    values = [of(one.samples[key]) if one.works and one.samples[key] else None for one in (mine, other)]
    apart = [f"{one.name} {spread(one.samples[key])}" for one in (mine, other) if one.works and one.samples[key]]
    notes = [f"{said}; {'; '.join(apart)}"] if apart else []
    notes += [f"{one.name}: nothing measured" for one in (mine, other) if one.works and not one.samples[key]]
    notes += [*mine.notes, *(note for note in other.notes if note not in mine.notes)]
    return row(name, values[0], other.name, values[1], unit, bar=bar, note="; ".join(notes))
