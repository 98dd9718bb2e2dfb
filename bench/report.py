"""The results of a bench: rows with their bars, as a JSON file and as a table."""

import re
import sys
from collections.abc import Iterable, Sequence
from math import ceil
from pathlib import Path
from statistics import median
from typing import Final, Literal

import msgspec

UNKNOWN: Final = "–"
"""Stands for a figure that could not be measured."""

Relation = Literal["≥", "≤", "<", "="]
_BAR: Final = re.compile(r"([≥≤<=]) ([0-9.]+) ?(.*)")


class Bar(msgspec.Struct, frozen=True):
    """What a figure must reach; as text `≥ 1 ×` (of the peer's) or `≤ 50 ms` (by itself)."""

    relation: Relation
    limit: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Bar":
        """Read the text.

        Raises:
            ValueError: it is not a bar.
        """
        found = _BAR.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no bar: write '≥ 1 ×' or '≤ 50 ms'.")
        return msgspec.convert({"relation": found[1], "limit": float(found[2]), "unit": found[3]}, cls)

    @property
    def relative(self) -> bool:
        """Whether it is about the ratio to the peer."""
        return self.unit == "×"

    def met(self, value: float) -> bool:
        """Whether `value` reaches it, as the table shows it: with two decimals."""
        value, limit = round(value, 2), self.limit
        return {"≥": value >= limit, "≤": value <= limit, "<": value < limit, "=": value == limit}[self.relation]

    def margin(self, value: float) -> float:
        """How many times better than asked `value` is; 1: just met, less: missed."""
        better, worse = (value, self.limit) if self.relation == "≥" else (self.limit, value)
        if worse <= 0:
            return float("inf")
        return better / worse


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of ours beside one of a peer."""

    name: str
    ours: float | None
    """None: it could not be measured; `note` says why."""
    peer: str
    peer_value: float | None
    unit: str
    ratio: float | None
    """Ours by the peer's."""
    bar: str
    """Empty: for information."""
    ok: bool | None
    """Whether the bar is met. What was not measured has not met it; None: there is no bar."""
    note: str = ""
    part: str = ""
    """Which part of the bench measured it."""

    @property
    def judged(self) -> float | None:
        """The figure that the bar is about."""
        if not self.bar:
            return None
        return self.ratio if Bar.parse(self.bar).relative else self.ours

    @property
    def margin(self) -> float | None:
        """How many times better than the bar asks."""
        return None if self.judged is None else Bar.parse(self.bar).margin(self.judged)


def row(
    name: str,
    ours: float | None,
    peer: str,
    peer_value: float | None,
    unit: str,
    *,
    bar: str = "",
    note: str = "",
) -> Row:
    """A row, judged.

    Raises:
        ValueError: `bar` is none.
    """
    ratio = None
    if ours is not None and peer_value is not None:
        # Both nothing is as good as the peer; something against nothing has no ratio.
        ratio = ours / peer_value if peer_value else (1.0 if not ours else None)
    made = Row(
        name=name, ours=ours, peer=peer, peer_value=peer_value, unit=unit, ratio=ratio, bar=bar, ok=None, note=note
    )
    if not bar:
        return made
    return msgspec.structs.replace(made, ok=made.judged is not None and Bar.parse(bar).met(made.judged))


def spread(samples: Sequence[float]) -> str:
    """How far samples lie apart, and how many there are."""
    if len(samples) < 2:
        return "one sample"
    return f"{figure(min(samples))} to {figure(max(samples))} in {len(samples)}"


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that is not below `share` of all (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, ceil(len(ordered) * share) - 1)]


def middle(samples: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return median(samples) if samples else None


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What one run measured, and where."""

    machine: dict[str, str]
    versions: dict[str, str]
    command: str
    rows: list[Row]

    def over_recorded(self, path: Path, parts: Iterable[str]) -> "Results":
        """`over` those in a file; says so where they are given up."""
        older = read(path)
        if older is not None and not self._comparable(older):
            print(f"{path}: of another machine or other versions; its rows are given up.", file=sys.stderr)
        return self.over(older, parts)

    def _comparable(self, older: "Results") -> bool:
        return (older.machine, older.versions) == (self.machine, self.versions)

    def write(self, path: Path) -> None:
        """Write it as JSON, to be read by people too."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    def over(self, older: "Results | None", parts: Iterable[str]) -> "Results":
        """These rows, and those of the parts that were not measured now, if machine and versions are the same."""
        if older is None or not self._comparable(older):
            return self
        now = set(parts)
        kept = [row for row in older.rows if row.part not in now]
        return msgspec.structs.replace(self, command=older.command, rows=[*kept, *self.rows])


def read(path: Path) -> Results | None:
    """The results in a file; None where there are none."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else None


def figure(value: float | None) -> str:
    """A number with three significant digits."""
    if value is None:
        return UNKNOWN
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2}f}"


def verdict(row: Row) -> str:
    """Whether the bar is met, in a word."""
    if row.ok is None:
        return ""
    if row.judged is None:
        return "not measured"
    return "met" if row.ok else "**missed**"


HEADER: Final = ("", "bawn", "peer", "peer's", "unit", "ratio", "bar", "", "note")


def cells(row: Row) -> tuple[str, ...]:
    """The row as the table shows it."""
    ratio = UNKNOWN if row.ratio is None else f"{row.ratio:.2f} ×"
    return (
        row.name, figure(row.ours), row.peer, figure(row.peer_value), row.unit, ratio, row.bar, verdict(row), row.note
    )  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, aligned for a terminal too."""
    lines = [HEADER, *(cells(row) for row in rows)]
    numbers = {1, 3, 5}
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]

    def drawn(line: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"| {' | '.join(padded).rstrip()} |"

    rule = "|".join(
        ("-" * (width + 1) + ":") if at in numbers else "-" * (width + 2) for at, width in enumerate(widths)
    )
    return "\n".join([drawn(HEADER), f"|{rule}|", *(drawn(line) for line in lines[1:])])


def summary(rows: Sequence[Row]) -> str:
    """How many bars are met, in a sentence."""
    judged = [row for row in rows if row.ok is not None]
    met = sum(bool(row.ok) for row in judged)
    return f"{met} of {len(judged)} bars are met."
