"""What is remembered of deliveries."""

from pathlib import Path

import pytest

from bawn.gateway.webhooks.deliveries import Deliveries
from support.gateway import captured_logs


def test_an_id_or_a_body_that_was_there_is_known_after_a_restart_too(tmp_path: Path) -> None:
    file = tmp_path / "state" / "deliveries.json"
    deliveries = Deliveries(file)
    assert ("github", "1", b"one") not in deliveries
    deliveries.add("github", "1", b"one")
    for known in (deliveries, Deliveries(file)):
        assert ("github", "1", b"other") in known
        assert ("gitea", "9", b"one") in known
        assert ("gitea", "1", b"other") not in known
    assert b"one" not in file.read_bytes()


def test_the_oldest_are_forgotten_so_that_the_file_stays_small(tmp_path: Path) -> None:
    file = tmp_path / "deliveries.json"
    deliveries = Deliveries(file, most=3)
    for number in range(5):
        deliveries.add("github", str(number), str(number).encode())
    known = Deliveries(file, most=3)
    assert [n for n in range(5) if ("github", str(n), b"") in known] == [2, 3, 4]


@pytest.mark.parametrize("content", [b"", b"[[1]]", b"\xff", b'{"a": 1}'])
def test_a_broken_file_is_told_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "deliveries.json"
    file.write_bytes(content)
    with captured_logs() as logged:
        deliveries = Deliveries(file)
    assert "deliveries_unreadable" in logged.getvalue()
    deliveries.add("github", "1", b"one")
    assert ("github", "1", b"") in Deliveries(file)
