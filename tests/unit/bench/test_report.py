"""Rows are judged as the table shows them, and nothing that was missed or not measured is left out."""

from pathlib import Path

import pytest

from bench.page import PAGE, page_with, write_page
from bench.plot import plot
from bench.report import Bar, Results, Row, percentile, read, row, spread, summary, table, verdict


def test_a_bar_is_read_from_its_text() -> None:
    assert Bar.parse("≤ 0.5 ×") == Bar("≤", 0.5, "×")
    assert Bar.parse("= 0") == Bar("=", 0, "")
    with pytest.raises(ValueError, match="is no bar"):
        Bar.parse("fast")


@pytest.mark.parametrize(
    ("bar", "ours", "peer", "ok"),
    [
        ("≥ 1 ×", 200.0, 199.0, True),
        ("≥ 1 ×", 199.2, 200.0, True),  # 1.00 in the table
        ("≥ 1 ×", 190.0, 200.0, False),
        ("≤ 0.5 ×", 100.0, 210.0, True),
        ("≤ 0.5 ×", 120.0, 210.0, False),
        ("≤ 50 ms", 49.0, 1.0, True),
        ("≤ 50 ms", 51.0, 500.0, False),
        ("< 2 %", 2.0, 5.0, False),
        ("= 0 slots", 0.0, 0.0, True),
        ("= 0 slots", 1.0, 1.0, False),
    ],
)
def test_a_row_says_whether_its_bar_is_met(bar: str, ours: float, peer: float, ok: bool) -> None:
    made = row("x", ours, "peer", peer, "unit", bar=bar)
    assert made.ok is ok
    assert made.margin is not None
    if bar != "≥ 1 ×":
        assert (made.margin >= 1) is ok or bar == "< 2 %"


def test_a_peer_that_could_not_be_started_has_not_been_beaten() -> None:
    made = row("x", 10.0, "peer", None, "ms", bar="≤ 1 ×", note="peer: not started: no wheel")
    assert (made.ratio, made.ok, verdict(made)) == (None, False, "not measured")
    assert "no wheel" in table([made])


def test_a_bar_without_a_peer_needs_none() -> None:
    assert row("x", 10.0, "peer", None, "ms", bar="≤ 50 ms").ok is True


def test_nothing_against_nothing_is_as_good_and_something_against_nothing_has_no_ratio() -> None:
    assert row("x", 0.0, "peer", 0.0, "tokens", bar="≤ 1 ×").ok is True
    assert row("x", 5.0, "peer", 0.0, "tokens", bar="≤ 1 ×").ok is False


def test_a_row_without_a_bar_is_not_judged() -> None:
    assert row("x", 1.0, "peer", 2.0, "ms").ok is None


def test_percentiles_and_spread() -> None:
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95
    assert percentile([3.0], 0.95) == 3
    assert spread([1.0, 3.0, 2.0]) == "1.00 to 3.00 in 3"


def results(*rows: Row, version: str = "1") -> Results:
    return Results(machine={"cpu": "a"}, versions={"bawn": version}, command="make bench-x", rows=list(rows))


def part(name: str, ours: float) -> Row:
    return Row(name=name, ours=ours, peer="p", peer_value=1, unit="", ratio=ours, bar="≥ 1 ×", ok=ours >= 1, part=name)


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    written = results(part("a", 0.5))
    written.write(tmp_path / "new" / "x.json")
    assert read(tmp_path / "new" / "x.json") == written
    assert read(tmp_path / "none.json") is None


def test_parts_measured_again_replace_their_rows_only_on_the_same_machine_and_versions() -> None:
    older = results(part("a", 1), part("b", 1))
    assert [one.ours for one in results(part("b", 2)).over(older, ["b"]).rows] == [1, 2]
    assert [one.ours for one in results(part("b", 2), version="2").over(older, ["b"]).rows] == [2]


def test_rows_that_are_given_up_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.json"
    results(part("a", 1), part("b", 1)).write(file)
    assert len(results(part("b", 2)).over_recorded(file, ["b"]).rows) == 2
    assert capsys.readouterr().err == ""
    assert len(results(part("b", 2), version="2").over_recorded(file, ["b"]).rows) == 1
    assert "its rows are given up" in capsys.readouterr().err


def test_the_page_has_every_row_and_names_what_is_missed() -> None:
    text = "intro\n<!-- x: written by make bench-x -->\nold\n<!-- x: end -->\nafter\n"
    page = page_with(text, "x", results(part("good", 2), part("bad", 0.5)))
    assert "old" not in page
    assert page.startswith("intro\n")
    assert page.endswith("\nafter\n")
    assert "1 of 2 bars are met. These are not:\n\n- bad" in page
    assert "| good" in page
    with pytest.raises(ValueError, match="no place"):
        page_with("nothing", "x", results())


def test_the_plot_shows_a_missed_bar_apart() -> None:
    drawn = plot("x", [part("good", 2), part("bad & ugly", 0.5), row("none", None, "p", None, "ms", bar="≤ 1 ×")])
    assert drawn.count("<circle") == 2
    assert 'class="missed"' in drawn
    assert "bad &amp; ugly" in drawn
    assert "not measured" in drawn
    assert summary([part("good", 2)]) == "1 of 1 bars are met."


def test_the_real_page_has_its_place_and_gets_the_plot_beside_it(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_page(page, "model", results(part("good", 2)))
    assert "](benchmarks-model.svg)" in page.read_text(encoding="utf-8")
    assert (tmp_path / "benchmarks-model.svg").read_text(encoding="utf-8").startswith("<svg")
