"""Whether a model embeds, by its header."""

from pathlib import Path

from bawn.contracts.errors import SettingsError
from bawn.model_server.planner.gguf_header import read_header


def embeds(path: Path) -> bool:
    """Whether the GGUF at `path` makes vectors (or ranks) rather than text.

    Such a model names how the vectors of its tokens become one (`pooling_type`), or looks at a text from both sides.
    A header that can't be read says nothing: whoever loads the model will tell.
    """
    try:
        metadata = read_header(path).metadata
    except SettingsError:
        return False
    architecture = metadata.get("general.architecture", "")
    pooling = metadata.get(f"{architecture}.pooling_type", 0)
    return bool(pooling) or metadata.get(f"{architecture}.attention.causal") is False
