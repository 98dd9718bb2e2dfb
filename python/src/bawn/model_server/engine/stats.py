"""What the engine has done so far, in numbers."""

import msgspec


class Stats(msgspec.Struct):
    """Totals since the start. Written by the engine thread; others read whole fields."""

    steps: int = 0
    """Decode steps."""
    decode_s: float = 0.0
    """Seconds inside llama.cpp."""
    prefill_s: float = 0.0
    """Of them, seconds for tokens of prompts; by their number, where a step has others, too."""
    generate_s: float = 0.0
    """Seconds for generated tokens."""
    fed_tokens: int = 0
    """Prompt tokens decoded."""
    cached_tokens: int = 0
    """Prompt tokens that were not decoded again."""
    loaded_tokens: int = 0
    """Of them, those that came from host memory."""
    parked_tokens: int = 0
    """Tokens copied to host memory."""
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    """Tokens of drafts that were right."""
    aborted_steps: int = 0
    """Decode steps broken off because the client whose prompt they fed had left, or for autocomplete."""
    generated_tokens: int = 0
    cancelled: int = 0
    """Sequences that gave up their slot because their client left."""
    preemptions: int = 0
    """Sequences that gave up their slot for want of cache, to go on later."""
