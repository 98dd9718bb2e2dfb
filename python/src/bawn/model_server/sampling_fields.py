"""Sampling fields of the wire, checked, as the engine's sampling."""

import secrets

import msgspec

from bawn.contracts import openai
from bawn.contracts.errors import InvalidRequest
from bawn.model_server.engine.sampling import Sampling

_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 100),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "top_k": (0, 1_000_000),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "repeat_penalty": (0.01, 100),
}
_MAX_STOPS = 16
_MAX_STOP_LENGTH = 1024
_MAX_BIASES = 4096
_MAX_CHOICES = 16
_MAX_LOGPROBS = 20


def sampling_of(wire: openai.Sampling, defaults: Sampling, n_vocab: int) -> Sampling:
    """The request's fields over `defaults`; without a seed, a random one.

    Raises:
        InvalidRequest: names the field and its range.
    """
    changes: dict[str, float | int] = {}
    for field, (low, high) in _RANGES.items():
        value = getattr(wire, field)
        if value is None:
            continue
        # llama.cpp's clients write -1 for "no limit".
        if field == "top_k" and value == -1:
            value = 0
        if not low <= value <= high:
            raise InvalidRequest(f"`{field}` must be between {low:g} and {high:g}.", param=field)
        changes[field] = value
    return msgspec.structs.replace(
        defaults,
        **changes,
        logit_bias=_logit_bias(wire.logit_bias or {}, n_vocab),
        seed=secrets.randbits(32) if wire.seed is None else wire.seed,
        ignore_end=wire.ignore_eos,
    )


def _logit_bias(wire: dict[str, float], n_vocab: int) -> dict[int, float]:
    if len(wire) > _MAX_BIASES:
        raise InvalidRequest(f"`logit_bias` may name {_MAX_BIASES} tokens at most.", param="logit_bias")
    bias: dict[int, float] = {}
    for key, value in wire.items():
        if not key.isascii() or not key.isdigit() or len(key) > 9 or int(key) >= n_vocab:
            raise InvalidRequest(f"`logit_bias` names token ids from 0 to {n_vocab - 1}.", param="logit_bias")
        bias[int(key)] = value
    return bias


def choices_of(wire: openai.Sampling) -> int:
    """How many answers are wanted.

    Raises:
        InvalidRequest: none, or too many.
    """
    count = 1 if wire.n is None else wire.n
    if not 1 <= count <= _MAX_CHOICES:
        raise InvalidRequest(f"`n` must be between 1 and {_MAX_CHOICES}.", param="n")
    return count


def logprobs_of(wanted: bool | None, top: int | None, *, param: str = "top_logprobs") -> int | None:
    """So many of the likeliest tokens are told with each token; None: no probabilities at all.

    Raises:
        InvalidRequest: too many.
    """
    if not wanted:
        return None
    if top is not None and not 0 <= top <= _MAX_LOGPROBS:
        raise InvalidRequest(f"`{param}` must be between 0 and {_MAX_LOGPROBS}.", param=param)
    return top or 0


def stops_of(wire: openai.Sampling) -> tuple[str, ...]:
    """The stop strings.

    Raises:
        InvalidRequest: too many, or one too long.
    """
    stops = (wire.stop,) if isinstance(wire.stop, str) else tuple(wire.stop or ())
    if len(stops) > _MAX_STOPS or any(len(stop) > _MAX_STOP_LENGTH for stop in stops):
        raise InvalidRequest(
            f"`stop` takes {_MAX_STOPS} strings of {_MAX_STOP_LENGTH} characters at most.", param="stop"
        )
    return tuple(stop for stop in stops if stop)


def limit_of(max_tokens: int | None, *, param: str = "max_tokens") -> int | None:
    """How many tokens may be generated; None: as many as fit.

    Raises:
        InvalidRequest: less than 1. -1, which llama.cpp's clients write, is "as many as fit".
    """
    if max_tokens == -1:
        return None
    if max_tokens is not None and max_tokens < 1:
        raise InvalidRequest(f"`{param}` must be at least 1.", param=param)
    return max_tokens
