"""Logs can't carry content."""

import json
import logging

import pytest

from bawn.contracts.record import RequestRecord
from bawn.service.logs import JsonFormatter, event, record

CANARY = "canary-7f3a"


def line(entry: logging.LogRecord) -> dict[str, object]:
    return json.loads(JsonFormatter().format(entry))


def test_an_event_keeps_its_name_and_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bawn.test")
    event(logging.getLogger("bawn.test"), "listening", port=8080)
    assert line(caplog.records[0]) | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "bawn.test",
        "event": "listening",
        "port": 8080,
    }


def test_a_request_record_leaves_out_what_is_not_known(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bawn.test")
    record(logging.getLogger("bawn.test"), "request", RequestRecord(surface="chat", status=200))
    logged = line(caplog.records[0])
    assert (logged["surface"], logged["status"]) == ("chat", 200)
    assert "model" not in logged


def test_a_librarys_message_and_its_arguments_are_dropped() -> None:
    entry = logging.LogRecord("mcp.server", logging.ERROR, "x.py", 1, "failed on %s", (CANARY,), None)
    assert CANARY not in JsonFormatter().format(entry)
    assert line(entry)["logger"] == "mcp.server"


def test_an_exception_keeps_its_class_and_place_and_loses_its_message() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        entry = logging.LogRecord(
            "bawn.x", logging.ERROR, "x.py", 1, "failed", (), (type(error), error, error.__traceback__)
        )
    text = JsonFormatter().format(entry)
    assert CANARY not in text
    assert line(entry)["exception"] == "ValueError"
    assert "test_logs.py" in text
