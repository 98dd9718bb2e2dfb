"""The model server as a process: engines and HTTP side together, and an end to all when one fails."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from bawn.contracts.errors import SettingsError
from bawn.model_server.app import model_server_app
from bawn.model_server.embedding.options import EmbeddingOptions
from bawn.model_server.embedding.runtime import EmbeddingRuntime
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.runtime import EngineFault, Runtime
from bawn.model_server.engines import Engines, engines_of, models_of
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
    models_of(settings.checked())
    return read_secret(Path(settings.token_file)) if settings.token_file else ""


async def run(
    settings: ModelServerSettings,
    *,
    load: Callable[[EngineOptions], Runtime] = Runtime,
    load_embedding: Callable[[EmbeddingOptions], EmbeddingRuntime] = EmbeddingRuntime,
) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status: 1 when an engine failed.

    Raises:
        SettingsError: settings, model or address can't work.
    """
    token = check(settings)
    check_port(settings.host, settings.port)
    engines = engines_of(models_of(settings), load=load, load_embedding=load_embedding)
    engines.start()
    app = model_server_app(engines.text, settings, embedder=engines.embedding, token=token)
    try:
        return await _until_failure(app, engines, settings)
    finally:
        await engines.stop()


async def _until_failure(app: object, engines: Engines, settings: ModelServerSettings) -> int:
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(
        serve(
            app,
            settings.host,
            settings.port,
            name="model-server",
            ready=engines.ready,
            alive=lambda: engines.age_s < settings.stall_s,
            # Answers that take longer end with an error event rather than with a closed connection.
            on_stop=lambda: loop.call_later(settings.drain_s, engines.halt),
            drain_s=settings.drain_s + _LAST_WORDS_S,
        )
    )
    failing = asyncio.create_task(engines.failed())
    await asyncio.wait({serving, failing}, return_when=asyncio.FIRST_COMPLETED)
    fault = engines.fault
    if fault is None:
        failing.cancel()
        await serving
        return 0
    # Nothing that this process could still say would be right: end it, so that systemd starts a fresh one.
    serving.cancel()
    await asyncio.wait({serving})
    if isinstance(fault, SettingsError):
        raise fault
    reason = str(fault) if isinstance(fault, EngineFault) else type(fault).__name__
    event(_log, "engine_failed", level=logging.CRITICAL, reason=reason)
    return 1
