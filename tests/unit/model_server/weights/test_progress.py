"""What whoever waits is told."""

import io

from bawn.model_server.weights.progress import Bar, Lines, shown

MIB = 1 << 20


def test_a_line_comes_every_few_seconds_and_not_with_every_piece() -> None:
    clock = [0.0]
    stream = io.StringIO()
    lines = Lines("a.gguf", stream, now=lambda: clock[0])
    lines.stage("fetching", 100 * MIB, 2000 * MIB)
    for second in range(1, 12):
        clock[0] = float(second)
        lines.at((100 + 20 * second) * MIB)
    lines.note("the server is silent; trying again")
    assert stream.getvalue().splitlines() == [
        "a.gguf: fetching 2,000 MiB, of which 100 are there",
        "a.gguf: 200 of 2,000 MiB, 20.0 MiB/s, 90 s left",
        "a.gguf: 300 of 2,000 MiB, 20.0 MiB/s, 85 s left",
        "a.gguf: the server is silent; trying again",
    ]


def test_a_file_of_unknown_size_has_no_time_left() -> None:
    clock = [0.0]
    stream = io.StringIO()
    lines = Lines("a.gguf", stream, now=lambda: clock[0])
    lines.stage("fetching", 0, None)
    clock[0] = 10.0
    lines.at(0)
    assert stream.getvalue() == "a.gguf: fetching\na.gguf: 0.0 MiB, 0.0 MiB/s\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_a_file_gets_lines() -> None:
    terminal = Terminal()
    with shown("[a].gguf", terminal) as bar:
        assert isinstance(bar, Bar)
        bar.stage("fetching", 0, 10)
        bar.at(5)
        bar.note("[x] is kept")
    assert "[a].gguf: fetching" in terminal.getvalue()
    assert "[a].gguf: [x] is kept" in terminal.getvalue()
    with shown("a.gguf", io.StringIO()) as lines:
        assert isinstance(lines, Lines)
