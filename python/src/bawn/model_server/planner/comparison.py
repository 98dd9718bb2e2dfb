"""What fits which card, for a model in one quantisation and another."""

from typing import Final

import msgspec

from bawn.model_server.planner.gguf_header import Header
from bawn.model_server.planner.plan import Plan, plan_for
from bawn.model_server.planner.quantisation import QUANTISATIONS, quantisation_of, requantised
from bawn.model_server.planner.shape import shape_of

CARDS_GIB: Final = (12, 16, 24, 32, 48, 80)


class Quantised(msgspec.Struct, frozen=True):
    """The model in one quantisation, on all cards."""

    quantisation: str
    own: bool
    """Whether it is the file's own; the sizes of all others are estimates."""
    gpu_weights_bytes: int
    """On a GPU that has all layers."""
    cards: list[Plan]
    """For `CARDS_GIB`."""


def compare(header: Header, source: str, slots: int) -> list[Quantised]:
    """The model in its own quantisation and in each of `QUANTISATIONS`, largest first.

    Raises:
        SettingsError: as `shape_of`.
    """
    own = quantisation_of(header)
    headers = {name: requantised(header, name) for name in QUANTISATIONS} | {own: header}
    found = [_quantised(name, of, source, slots, own=name == own) for name, of in headers.items()]
    return sorted(found, key=lambda row: row.gpu_weights_bytes, reverse=True)


def _quantised(name: str, header: Header, source: str, slots: int, *, own: bool) -> Quantised:
    shape = shape_of(header, source)
    plans = [plan_for(shape, gib << 30, slots) for gib in CARDS_GIB]
    return Quantised(quantisation=name, own=own, gpu_weights_bytes=shape.weights, cards=plans)
