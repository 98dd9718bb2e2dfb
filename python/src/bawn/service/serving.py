"""Running a Litestar app on granian inside this process, with systemd readiness, watchdog and a clean stop."""

import asyncio
import contextlib
import errno
import functools
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import sdnotify
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from bawn.contracts.errors import BawnError, SettingsError
from bawn.service import address
from bawn.service.logs import event

Result = TypeVar("Result")

_log = logging.getLogger("bawn.service")


class AddressLost(BawnError):
    """The address that a service listens on is gone."""


def run_loop(service: Coroutine[Any, Any, Result]) -> Result:
    """Run a service to its end on libuv's event loop, which takes less of the processors than asyncio's own: the model
    server decodes faster by a tenth beside it, where it has two.
    """
    return uvloop.run(service)


def check_port(host: str, port: int, *, option: str = "--port") -> None:
    """Refuse an address that can't be listened on before anything slow starts.

    granian binds with SO_REUSEPORT, so that a second server would silently share the port of a first.

    Raises:
        SettingsError: the port is taken, or the address is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                message = f"Port {port} on {host} is in use: stop what listens there, or choose another with {option}."
            else:
                message = f"{host}:{port} can't be listened on: {error.strerror}."
            raise SettingsError(message) from error


@contextlib.asynccontextmanager
async def running(app: Any, host: str, port: int, *, drain_s: float = 10.0) -> AsyncGenerator[None]:
    """Serve `app` while the block runs: entered when it accepts connections, left when it has stopped.

    On leaving, no new connection is accepted, and answers under way get `drain_s` seconds to end.
    """
    check_port(host, port)
    logging.getLogger("_granian").setLevel(logging.WARNING)
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )
    task = asyncio.create_task(server.serve(), name=f"granian:{port}")
    try:
        await _accepting(host, port, task)
        yield
    finally:
        server.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), drain_s)
        if not task.done():
            event(_log, "drain_cut", level=logging.WARNING, after_s=drain_s)
            task.cancel()
            await asyncio.wait({task})


async def _accepting(host: str, port: int, task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(10):
        while not task.done():
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return
    await task


async def serve(
    app: Any,
    host: str,
    port: int,
    *,
    name: str,
    ready: Callable[[], Awaitable[object]] | None = None,
    alive: Callable[[], bool] = lambda: True,
    on_stop: Callable[[], object] = lambda: None,
    drain_s: float = 10.0,
) -> None:
    """Serve until SIGTERM or SIGINT, until `ready()` raises, which is passed on, or until the address is gone.

    Tells systemd READY=1 when connections are accepted and `ready()` has returned and, where WatchdogSec is set,
    WATCHDOG=1 twice in each period as long as `alive()` says so and the event loop turns.

    Raises:
        AddressLost: `host` is not an address of this machine any more, so that nobody can ask; whoever starts the
            service again finds out the new one.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    notifier = _systemd()
    try:
        async with running(app, host, port, drain_s=drain_s):
            event(_log, "listening", service=name, host=host, port=port, pid=os.getpid())
            if ready is None or await _unless(stop, ready):
                notifier("READY=1")
            watchdog = asyncio.create_task(_watchdog(notifier, alive))
            try:
                await _unless(stop, functools.partial(address.lost, host, port))
            finally:
                watchdog.cancel()
            event(_log, "stopping", service=name)
            notifier("STOPPING=1")
            on_stop()
            if not stop.is_set():
                raise AddressLost(
                    f"{host} is not an address of this machine any more: the service ends, to be started anew."
                )
    finally:
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(signum)
    event(_log, "stopped", service=name)


def _systemd() -> Callable[[str], None]:
    """Tells systemd; without one, nobody (sdnotify would leave its socket open)."""
    if not os.environ.get("NOTIFY_SOCKET"):
        return lambda _: None
    return sdnotify.SystemdNotifier().notify


async def _unless(stop: asyncio.Event, ready: Callable[[], Awaitable[object]]) -> bool:
    """Whether `ready()` returned before `stop` was set; raises what it raises."""
    waiting, stopping = asyncio.ensure_future(ready()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            waiting.result()
        return waiting.done()
    finally:
        waiting.cancel()
        stopping.cancel()


async def _watchdog(notifier: Callable[[str], None], alive: Callable[[], bool]) -> None:
    period = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    while period:
        if alive():
            notifier("WATCHDOG=1")
        await asyncio.sleep(period / 2)


def leave(status: int = 0) -> NoReturn:
    """End this process with `status` after `serve`, without Python's finalization.

    A thread of granian's runtime that asks for the interpreter while that is finalized aborts the process: status
    134 after a clean stop, about once in ten times.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
