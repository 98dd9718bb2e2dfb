"""The OpenAI API over HTTP."""

from typing import Any, Final

from litestar import Request, Response, get, post, route
from litestar.datastructures import State
from litestar.enums import HttpMethod
from litestar.types import ASGIApp

from bawn.contracts.errors import ModelNotFound, NotFound
from bawn.contracts.openai import ModelCard, ModelList
from bawn.gateway.auth.gate import Gate
from bawn.gateway.ledger import Ledger
from bawn.gateway.relay.catalogue import Catalogue
from bawn.gateway.relay.surfaces import SURFACES, Relay

AnyRequest = Request[Any, Any, Any]

_SERVED: Final = ", ".join([*SURFACES, "/v1/models", "/mcp"])


@post(list(SURFACES))
async def generate(request: AnyRequest, state: State) -> ASGIApp:
    """Chat, completions, fill-in-the-middle, embeddings."""
    relay: Relay = state.relay
    return await relay.serve(request, SURFACES[request.scope["path"].rstrip("/")])


@get("/v1/models")
async def list_models(request: AnyRequest, state: State) -> ModelList:
    """Models and aliases that the caller may use."""
    return await _listing(request, state)


@get("/v1/models/{name:path}")
async def one_model(request: AnyRequest, state: State) -> ModelCard:
    """One model; names may hold slashes."""
    listing = await _listing(request, state)
    wanted = str(request.path_params["name"]).removeprefix("/")
    for card in listing.data:
        if card.id == wanted:
            return card
    raise ModelNotFound(wanted, [card.id for card in listing.data])


async def _listing(request: AnyRequest, state: State) -> ModelList:
    ledger: Ledger = state.ledger
    gate: Gate = state.gate
    catalogue: Catalogue = state.catalogue
    entry = ledger.begin("models")
    try:
        listing = catalogue.listing(await gate.admit(request.scope, entry.record))
    except BaseException as error:
        entry.fail(error)
        raise
    entry.end(status=200)
    return listing


@route("/v1/{rest:path}", http_method=[HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.DELETE])
async def not_served(request: AnyRequest, state: State) -> Response[None]:
    """Every other path below /v1: says what there is instead."""
    ledger: Ledger = state.ledger
    gate: Gate = state.gate
    entry = ledger.begin("other")
    try:
        await gate.admit(request.scope, entry.record)
        raise NotFound(f"This gateway does not serve this API. It serves: {_SERVED}.")
    except BaseException as error:
        entry.fail(error)
        raise


ROUTES: Final[list[Any]] = [generate, list_models, one_model, not_served]
