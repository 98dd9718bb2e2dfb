"""JSON logs that can't carry content.

A line holds a fixed event name and fields that the code chose one by one. Of a record that some library wrote,
only logger, level and the exception's class and place are kept: its message may quote a prompt.
"""

import logging
import sys
import time
import traceback
from typing import Any

import msgspec

OURS = "bawn"


def event(logger: logging.Logger, name: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log the event `name` (a constant) with `fields`, none of which may hold what a client sent."""
    if logger.isEnabledFor(level):
        logger.log(level, name, extra={"fields": fields})


def record(logger: logging.Logger, name: str, content_free: msgspec.Struct) -> None:
    """Log a content-free struct such as `RequestRecord` as the fields of one event."""
    if logger.isEnabledFor(logging.INFO):
        logger.info(name, extra={"fields": msgspec.to_builtins(content_free)})


def _line(entry: logging.LogRecord) -> dict[str, Any]:
    line: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(entry.created)) + f".{int(entry.msecs):03d}Z",
        "level": entry.levelname.lower(),
        "logger": entry.name,
    }
    if entry.name == OURS or entry.name.startswith(OURS + "."):
        line["event"] = entry.msg
        line.update(getattr(entry, "fields", {}))
    if entry.exc_info and entry.exc_info[0] is not None:
        kind, _, frames = entry.exc_info
        line["exception"] = kind.__name__
        line["where"] = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(frames)][-6:]
    return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for journald and log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        return msgspec.json.encode(_line(record), enc_hook=str).decode()


class TerminalFormatter(logging.Formatter):
    """The same fields for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        line = _line(record)
        head = f"{line.pop('time')[11:19]} {line.pop('level'):<7} {line.pop('event', line['logger'])}"
        line.pop("logger")
        return head + "".join(f"  {k}={v}" for k, v in line.items())


def configure(*, level: int = logging.INFO) -> None:
    """Send all logging of this process to stderr: JSON, or short lines where stderr is a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TerminalFormatter() if sys.stderr.isatty() else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level)
    # An exception that nobody caught must not print its message either.
    sys.excepthook = lambda kind, value, frames: logging.getLogger(OURS).critical(
        "uncaught", exc_info=(kind, value, frames)
    )
