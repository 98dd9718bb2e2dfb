"""An upstream as the gateway sees it: what it serves, how it is, how much it has to do."""

import time
from typing import Final

import msgspec

from bawn.contracts.errors import Forbidden, Unauthorized
from bawn.contracts.openai import ModelCard
from bawn.relay.upstream import Upstream

TOKEN_REFUSED: Final = (Unauthorized.status, Forbidden.status)
"""Statuses with which an upstream refuses the gateway's token."""


class Served(msgspec.Struct, frozen=True):
    """A model that an upstream serves, with what the upstream tells about it."""

    name: str
    context_length: int | None = None
    """Tokens that one request may use, prompt and answer together."""
    fim: bool | None = None
    embedding_length: int | None = None
    """Numbers of a vector, of a model that embeds."""

    def card(self, name: str | None = None) -> ModelCard:
        """Its entry in `/v1/models`, under `name` where that is an alias."""
        return ModelCard(
            id=name or self.name,
            context_length=self.context_length,
            fim=self.fim,
            embedding_length=self.embedding_length,
        )


class Backend:
    """One configured upstream, with the state that routing goes by."""

    def __init__(self, upstream: Upstream, models: list[str]) -> None:
        """`models` empty: whatever the upstream lists, once it could be asked."""
        self.upstream = upstream
        self.fixed = bool(models)
        """Whether the settings say what it serves."""
        self.models: dict[str, Served] = {name: Served(name) for name in models}
        self.healthy: bool | None = None
        """None until the first check: then it counts as usable."""
        self.error: str | None = "unchecked"
        """Error class of the last failure."""
        self._well_at = time.monotonic()
        """When it last answered; at first the benefit of the doubt, since it may have started with us."""
        self.in_flight = 0
        self.asked = 0
        """Requests that it got, so that equals take turns."""

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.upstream.name

    @property
    def known(self) -> bool:
        """Whether it is known what it serves."""
        return self.fixed or bool(self.models)

    def succeeded(self) -> None:
        """It answered."""
        self.healthy, self.error = True, None
        self._well_at = time.monotonic()

    def was_well(self, within_s: float) -> bool:
        """Whether it answered within the last so many seconds: what fails since then may be a restart."""
        return time.monotonic() - self._well_at < within_s

    def failed(self, error: str) -> None:
        """It did not; `error` is an error class."""
        self.healthy, self.error = False, error

    def lists(self, served: list[Served]) -> None:
        """Take over what it says about its models; what the settings don't name is left out."""
        told = {model.name: model for model in served}
        if self.fixed:
            self.models = {name: told.get(name, model) for name, model in self.models.items()}
        else:
            self.models = told
