"""The HTTP surface of the model server."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router, get, post

from bawn import __version__
from bawn.contracts.errors import InvalidRequest, ModelNotFound
from bawn.contracts.health import Health, Part, Ready
from bawn.contracts.openai import ModelCard, ModelList
from bawn.model_server import metrics as metrics_text
from bawn.model_server.auth import BearerGuard
from bawn.model_server.embedding.engine import EmbeddingEngine
from bawn.model_server.embedding.surface import EmbedderOnce, embedding_route, no_embeddings, no_text
from bawn.model_server.engine.engine import Engine, State
from bawn.model_server.engines import Engines
from bawn.model_server.exchange import Exchange
from bawn.model_server.metrics import Metrics
from bawn.model_server.prefix_guard import PrefixGuard
from bawn.model_server.served import ServedModel, Work
from bawn.model_server.settings import ModelServerSettings
from bawn.relay.body import head
from bawn.service.http import make_app

_Read = Callable[[ServedModel, bytes, Mapping[str, str]], Work]


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


def model_server_app(
    engine: Engine | None,
    settings: ModelServerSettings,
    *,
    embedder: EmbeddingEngine | None = None,
    token: str = "",
) -> Litestar:
    """The app over started engines; with `token`, every path but `/health` and `/ready` asks for it.

    Without an `engine` nothing generates text, without an `embedder` nothing embeds.
    """
    metrics = Metrics(engine, embedder)
    cards: list[Callable[[], ModelCard]] = []
    text: Sequence[Any] = [no_text]
    embedding: Any = no_embeddings
    generating = ""
    if engine is not None:
        generating = settings.alias or Path(settings.model).stem
        served = ServedOnce(engine, settings)
        cards.append(lambda: served().card)
        text = _generating(engine, served, metrics, settings, embedding=embedder.options.name if embedder else "")
    if embedder is not None:
        embedded = EmbedderOnce(embedder, generating=generating)
        cards.append(lambda: embedded().card)
        embedding = embedding_route(embedder, embedded, metrics, timeout_s=settings.request_timeout_s)
    guarded = Router(
        "/",
        route_handlers=[*text, embedding, *_telling(engine, cards, metrics)],
        guards=[BearerGuard(token)] if token else [],
    )
    return make_app([guarded, *_open(Engines(engine, embedder), settings)], max_body_bytes=settings.max_body_bytes)


def _generating(
    engine: Engine, served: ServedOnce, metrics: Metrics, settings: ModelServerSettings, *, embedding: str
) -> Sequence[Any]:
    shared: dict[str, Any] = {
        "engine": engine,
        "served": served,
        "metrics": metrics,
        "timeout_s": settings.request_timeout_s,
        "guard": PrefixGuard(),
    }
    read_chat, read_completion = _unless(embedding, ServedModel.chat), _unless(embedding, ServedModel.completion)

    @post("/v1/chat/completions")
    async def chat(request: Request[Any, Any, Any]) -> Exchange:
        return Exchange(request, "chat", read=read_chat, **shared)

    @post("/v1/completions")
    async def completions(request: Request[Any, Any, Any]) -> Exchange:
        return Exchange(request, "completions", read=read_completion, **shared)

    return [chat, completions]


def _unless(embedding: str, read: _Read) -> _Read:
    """`read`, which says it clearly where the model that embeds is asked for text."""

    def reading(served: ServedModel, body: bytes, headers: Mapping[str, str]) -> Work:
        try:
            return read(served, body, headers)
        except ModelNotFound:
            if not embedding or head(body).model != embedding:
                raise
        raise InvalidRequest(f"The model `{embedding}` embeds; it does not generate text.", param="model")

    return reading


def _telling(engine: Engine | None, cards: Sequence[Callable[[], ModelCard]], metrics: Metrics) -> Sequence[Any]:
    @get("/v1/models")
    async def models() -> Response[bytes]:
        return _json(ModelList([card() for card in cards]))

    @get("/slots")
    async def slots() -> Response[bytes]:
        return _json(engine.slots() if engine is not None else [])

    @get("/metrics")
    async def prometheus() -> Response[bytes]:
        return Response(metrics.text(), media_type=metrics_text.CONTENT_TYPE)

    return [models, slots, prometheus]


def _open(engines: Engines, settings: ModelServerSettings) -> Sequence[Any]:
    @get("/health")
    async def health() -> Response[bytes]:
        state = cast(
            "Any", {"loading": "loading", "ready": "ready", "stopped": "draining"}.get(engines.state, "degraded")
        )
        age_s = engines.age_s
        if state == "ready" and age_s >= settings.stall_s:
            state = "degraded"
        return _json(Health(state, __version__, round(age_s, 3)), 200 if state == "ready" else 503)

    @get("/ready")
    async def ready() -> Response[bytes]:
        parts: list[Part] = []
        for name, engine in engines.parts.items():
            works = engine.state == "ready" and engine.age_s < settings.stall_s
            parts.append(Part(name, works, None if works else _error(engine.state)))
        works = all(part.ok for part in parts)
        return _json(Ready(works, parts), 200 if works else 503)

    return [health, ready]


def _error(state: State) -> str:
    return "unavailable" if state == "loading" else "internal_error"
