"""Which models there are, under which names, and who serves them."""

from collections.abc import Mapping, Sequence

from bawn.contracts.openai import ModelCard, ModelList
from bawn.gateway.auth.permissions import EVERYTHING, Permissions
from bawn.gateway.relay.backend import Backend, Served


class Catalogue:
    """The models of all backends and the aliases of the settings."""

    def __init__(self, backends: Sequence[Backend], aliases: Mapping[str, str]) -> None:
        self.backends = backends
        self._aliases = aliases

    def resolve(self, name: str) -> str:
        """The model that a client's name stands for."""
        return self._aliases.get(name, name)

    def serving(self, model: str) -> list[Backend]:
        """The backends that serve a model, sick ones included."""
        return [b for b in self.backends if model in b.models]

    def unlisted(self) -> list[Backend]:
        """The backends that have not yet said what they serve."""
        return [b for b in self.backends if not b.known]

    def names(self, permissions: Permissions = EVERYTHING) -> list[str]:
        """Every name that a client can ask for now: aliases first, then models."""
        return [card.id for card in self.listing(permissions).data]

    def listing(self, permissions: Permissions = EVERYTHING) -> ModelList:
        """The answer of `/v1/models` to somebody with these permissions."""
        served: dict[str, Served] = {}
        for backend in self.backends:
            for model in filter(lambda model: permissions.has_model(model.name), backend.models.values()):
                # Where upstreams disagree on the context, a client must fit the smaller one.
                other = served.get(model.name)
                if other is None or _less(model, other):
                    served[model.name] = model
        cards: list[ModelCard] = [served[m].card(alias) for alias, m in self._aliases.items() if m in served]
        return ModelList(cards + [model.card() for model in served.values()])


def _less(one: Served, other: Served) -> bool:
    if one.context_length is None:
        return False
    return other.context_length is None or one.context_length < other.context_length
