"""Prompt lookup: an answer that repeats its prompt, and answers that don't, with speculation and without."""

_NEAR: float = 0.7
"""Logits of quantised models differ by so much between batches of other shapes (natural logarithm)."""
