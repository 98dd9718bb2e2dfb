"""The model server as a process: engine and HTTP side together, and an end to both when one fails."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from bawn.contracts.errors import SettingsError
from bawn.model_server.app import model_server_app
from bawn.model_server.engine.engine import Engine
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.runtime import EngineFault, Runtime, check_gguf
from bawn.model_server.settings import ModelServerSettings
from bawn.service.logs import event
from bawn.service.serving import check_port, serve
from bawn.service.settings import read_secret

_log = logging.getLogger("bawn.model_server")

_LAST_WORDS_S = 5.0  # for the error events to reach their clients


def check(settings: ModelServerSettings) -> str:
    """Check what can be checked without loading the model, and return the bearer token, if one is set.

    Raises:
        SettingsError: something that can't work; says what.
    """
    check_gguf(settings.checked().engine_options().model)
    return read_secret(Path(settings.token_file)) if settings.token_file else ""


async def run(settings: ModelServerSettings, *, load: Callable[[EngineOptions], Runtime] = Runtime) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status: 1 when the engine failed.

    Raises:
        SettingsError: settings, model or address can't work.
    """
    token = check(settings)
    check_port(settings.host, settings.port)
    engine = Engine(settings.engine_options(), load=load)
    engine.start()
    app = model_server_app(engine, settings, token=token)
    try:
        return await _until_failure(app, engine, settings)
    finally:
        await engine.stop()


async def _until_failure(app: object, engine: Engine, settings: ModelServerSettings) -> int:
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(
        serve(
            app,
            settings.host,
            settings.port,
            name="model-server",
            ready=engine.ready,
            alive=lambda: engine.age_s < settings.stall_s,
            # Answers that take longer end with an error event rather than with a closed connection.
            on_stop=lambda: loop.call_later(settings.drain_s, engine.halt),
            drain_s=settings.drain_s + _LAST_WORDS_S,
        )
    )
    failing = asyncio.create_task(engine.failed())
    await asyncio.wait({serving, failing}, return_when=asyncio.FIRST_COMPLETED)
    if engine.fault is None:
        failing.cancel()
        await serving
        return 0
    # Nothing that this process could still say would be right: end it, so that systemd starts a fresh one.
    serving.cancel()
    await asyncio.wait({serving})
    if isinstance(engine.fault, SettingsError):
        raise engine.fault
    reason = str(engine.fault) if isinstance(engine.fault, EngineFault) else type(engine.fault).__name__
    event(_log, "engine_failed", level=logging.CRITICAL, reason=reason)
    return 1
