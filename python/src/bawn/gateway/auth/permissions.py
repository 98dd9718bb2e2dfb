"""What a person may use."""

from collections.abc import Callable

import msgspec

from bawn.contracts.errors import Forbidden
from bawn.contracts.search import Index
from bawn.gateway.auth.settings import PersonSettings


class Permissions(msgspec.Struct, frozen=True):
    """Models, by their own names, and indexes; None: all there are."""

    models: frozenset[str] | None = None
    indexes: frozenset[Index] | None = None

    def has_model(self, model: str) -> bool:
        """Whether a model may be used; an alias is resolved before it is asked for here."""
        return self.models is None or model in self.models

    def has_index(self, index: Index) -> bool:
        """Whether an index may be looked into."""
        return self.indexes is None or index in self.indexes

    def check_model(self, model: str) -> None:
        """Refuse a model that may not be used.

        Raises:
            Forbidden: names the model.
        """
        if not self.has_model(model):
            raise Forbidden(f"You may not use the model `{model}`: whoever runs the gateway allows it.", param="model")

    def check_index(self, index: Index) -> None:
        """Refuse an index that may not be looked into.

        Raises:
            Forbidden: names the index.
        """
        if not self.has_index(index):
            raise Forbidden(f"You may not search the index `{index}`: whoever runs the gateway allows it.")


EVERYTHING = Permissions()
"""Where the settings name no people."""


def permissions_of(person: PersonSettings, resolve: Callable[[str], str]) -> Permissions:
    """What the settings allow; `resolve` gives the model that an alias stands for."""
    return Permissions(frozenset(resolve(name) for name in person.models), frozenset(person.indexes))
