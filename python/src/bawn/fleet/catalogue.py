"""Models that are known to suit this product, as entries of a fleet's `models`.

Sizes are approximate, and rather too large: Q4_K_M takes about 16.5 GB, IQ4_XS 14 GB, and Q8_0 has 8.5 bits a weight.
`kv_mib` is 64 KiB a token (f16) and 150 MiB of recurrent state a slot, rounded up. Addresses and hashes are those of
whoever quantised the model, and none is given here: `bawn weights pin URL` says them for the file that a team chooses.
"""

from typing import Final

import msgspec

from bawn.contracts.errors import SettingsError
from bawn.fleet.problems import listed
from bawn.fleet.schema import Model


class Entry(msgspec.Struct, frozen=True):
    """A model in one quantisation, with the context that one usual card has room for."""

    name: str
    """`MODEL/QUANTISATION`."""
    card_gib: int
    """Memory of that card."""
    model: Model


_QWEN: Final = "Qwen3.6-27B"

CATALOGUE: Final = (
    Entry(
        name=f"{_QWEN}/Q4_K_M",
        card_gib=24,
        model=Model(file=f"{_QWEN}-Q4_K_M.gguf", size_mib=16500, kv_mib=5000, context_tokens=65536, slots=4),
    ),
    Entry(
        name=f"{_QWEN}/IQ4_XS",
        card_gib=16,
        model=Model(file=f"{_QWEN}-IQ4_XS.gguf", size_mib=14000, kv_mib=800, context_tokens=8192, slots=1),
    ),
    Entry(
        name=f"{_QWEN}/Q8_0",
        card_gib=48,
        model=Model(file=f"{_QWEN}-Q8_0.gguf", size_mib=27300, kv_mib=9000, context_tokens=131072, slots=4),
    ),
)
"""The first is the default."""


def entry(name: str) -> Entry:
    """The entry `name`.

    Raises:
        SettingsError: there is none.
    """
    for known in CATALOGUE:
        if known.name == name:
            return known
    raise SettingsError(f"{name}: is not in the catalogue; known: {listed(known.name for known in CATALOGUE)}.")


def of_file(file: str) -> Entry | None:
    """The entry whose weights have this name, if any."""
    return next((known for known in CATALOGUE if known.model.file == file), None)
