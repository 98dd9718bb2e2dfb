"""The HTTP surface of the model server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router, get, post

from bawn import __version__
from bawn.contracts.errors import InvalidRequest
from bawn.contracts.health import Health, Part, Ready
from bawn.contracts.openai import ModelList
from bawn.model_server import metrics as metrics_text
from bawn.model_server.auth import BearerGuard
from bawn.model_server.engine.engine import Engine
from bawn.model_server.exchange import Exchange
from bawn.model_server.metrics import Metrics
from bawn.model_server.prefix_guard import PrefixGuard
from bawn.model_server.served import ServedModel
from bawn.model_server.settings import ModelServerSettings
from bawn.service.http import make_app


def _json(body: object, status: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status, media_type=MediaType.JSON)


class ServedOnce:
    """The served model of an engine, made when the engine is ready."""

    def __init__(self, engine: Engine, settings: ModelServerSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._served: ServedModel | None = None

    def __call__(self) -> ServedModel:
        """The model.

        Raises:
            Unavailable: it is still loading.
            InternalError: the engine has failed.
        """
        runtime = self._engine.runtime
        if self._served is None:
            settings = self._settings
            self._served = ServedModel(runtime, Path(settings.model), settings.alias, settings.default_sampling())
        return self._served


def model_server_app(engine: Engine, settings: ModelServerSettings, *, token: str = "") -> Litestar:
    """The app over a started engine; with `token`, every path but `/health` and `/ready` asks for it."""
    served, metrics = ServedOnce(engine, settings), Metrics(engine)
    guarded = Router(
        "/",
        route_handlers=[*_generating(engine, served, metrics, settings), *_telling(engine, served, metrics)],
        guards=[BearerGuard(token)] if token else [],
    )
    return make_app([guarded, *_open(engine, settings)], max_body_bytes=settings.max_body_bytes)


def _generating(engine: Engine, served: ServedOnce, metrics: Metrics, settings: ModelServerSettings) -> Sequence[Any]:
    shared: dict[str, Any] = {
        "engine": engine,
        "served": served,
        "metrics": metrics,
        "timeout_s": settings.request_timeout_s,
        "guard": PrefixGuard(),
    }

    @post("/v1/chat/completions")
    async def chat(request: Request[Any, Any, Any]) -> Exchange:
        return Exchange(request, "chat", read=ServedModel.chat, **shared)

    @post("/v1/completions")
    async def completions(request: Request[Any, Any, Any]) -> Exchange:
        return Exchange(request, "completions", read=ServedModel.completion, **shared)

    @post("/v1/embeddings")
    async def embeddings() -> None:
        raise InvalidRequest("This model generates text; it does not embed. Serve an embedding model for that.")

    return [chat, completions, embeddings]


def _telling(engine: Engine, served: ServedOnce, metrics: Metrics) -> Sequence[Any]:
    @get("/v1/models")
    async def models() -> Response[bytes]:
        return _json(ModelList([served().card]))

    @get("/slots")
    async def slots() -> Response[bytes]:
        return _json(engine.slots())

    @get("/metrics")
    async def prometheus() -> Response[bytes]:
        return Response(metrics.text(), media_type=metrics_text.CONTENT_TYPE)

    return [models, slots, prometheus]


def _open(engine: Engine, settings: ModelServerSettings) -> Sequence[Any]:
    @get("/health")
    async def health() -> Response[bytes]:
        state = cast(
            "Any", {"loading": "loading", "ready": "ready", "stopped": "draining"}.get(engine.state, "degraded")
        )
        alive = engine.age_s < settings.stall_s
        if state == "ready" and not alive:
            state = "degraded"
        return _json(Health(state, __version__, round(engine.age_s, 3)), 200 if state == "ready" else 503)

    @get("/ready")
    async def ready() -> Response[bytes]:
        works = engine.state == "ready" and engine.age_s < settings.stall_s
        error = None if works else "unavailable" if engine.state == "loading" else "internal_error"
        return _json(Ready(works, [Part("engine", works, error)]), 200 if works else 503)

    return [health, ready]
