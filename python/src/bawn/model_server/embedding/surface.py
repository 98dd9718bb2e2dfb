"""`/v1/embeddings`, and what is said to those who ask the wrong model."""

from collections.abc import Callable
from typing import Any

from litestar import Request, post

from bawn.contracts.errors import InvalidRequest
from bawn.model_server.embedding.engine import EmbeddingEngine
from bawn.model_server.embedding.exchange import EmbeddingExchange
from bawn.model_server.embedding.served import ServedEmbedder
from bawn.model_server.metrics import Metrics
from bawn.relay.body import discard_body


class EmbedderOnce:
    """The served model of an engine, made when the engine is ready."""

    def __init__(self, engine: EmbeddingEngine, *, generating: str = "") -> None:
        self._engine = engine
        self._generating = generating
        self._served: ServedEmbedder | None = None

    @property
    def name(self) -> str:
        """Under which it is served, also while it loads."""
        return self._engine.options.name

    def __call__(self) -> ServedEmbedder:
        """The model.

        Raises:
            Unavailable: it is still loading.
            InternalError: the engine has failed.
        """
        runtime = self._engine.runtime
        if self._served is None:
            self._served = ServedEmbedder(runtime, self.name, generating=self._generating)
        return self._served


def embedding_route(
    engine: EmbeddingEngine, served: Callable[[], ServedEmbedder], metrics: Metrics, *, timeout_s: float
) -> Any:
    """The route over an engine."""

    @post("/v1/embeddings")
    async def embeddings(request: Request[Any, Any, Any]) -> EmbeddingExchange:
        return EmbeddingExchange(request, engine=engine, served=served, metrics=metrics, timeout_s=timeout_s)

    return embeddings


@post("/v1/embeddings")
async def no_embeddings(request: Request[Any, Any, Any]) -> None:
    """The route where no model embeds."""
    await discard_body(request)
    raise InvalidRequest("This model generates text; it does not embed. Serve an embedding model for that.")


@post(["/v1/chat/completions", "/v1/completions"])
async def no_text(request: Request[Any, Any, Any]) -> None:
    """The routes where no model generates."""
    await discard_body(request)
    raise InvalidRequest("This model embeds; it does not generate text. Ask it at /v1/embeddings.")
