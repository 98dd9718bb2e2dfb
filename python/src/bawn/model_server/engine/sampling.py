"""Sampling parameters, and the chain of llama.cpp samplers that carries them out."""

from typing import Any, Final

import llama_cpp.llama_cpp as llama
import msgspec

from bawn.model_server.engine.candidates import Candidates, apply
from bawn.model_server.engine.grammar import Grammar
from bawn.model_server.engine.vocabulary import Vocabulary

REPEAT_WINDOW: Final = 64
"""Tokens back, prompt included, that the repeat penalty looks at: llama.cpp's default."""

_COUNT_WINDOW: Final = 4096  # generated tokens that presence and frequency penalties count
_SEED_MASK: Final = 0xFFFFFFFF  # as a seed it means "random" to llama.cpp


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How the next token is chosen. The defaults are llama.cpp's server's."""

    temperature: float = 0.8
    """0: always the most likely token."""
    top_k: int = 40
    """0: no limit."""
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = {}
    seed: int = 0
    ignore_end: bool = False
    """End-of-generation tokens are never chosen."""


class Sampler:
    """One generation's sampler chain. Owned by the engine thread; `close` it once."""

    def __init__(
        self, sampling: Sampling, vocabulary: Vocabulary, prompt_tail: list[int], grammar: Grammar | None = None
    ) -> None:
        self._grammar = grammar
        self._chain: Any = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        size = vocabulary.size
        bias = dict(sampling.logit_bias)
        if sampling.ignore_end:
            bias |= dict.fromkeys(vocabulary.end_tokens, float("-inf"))
        if bias:
            pairs = (llama.llama_logit_bias * len(bias))(*(llama.llama_logit_bias(t, b) for t, b in bias.items()))
            self._add(llama.llama_sampler_init_logit_bias(size, len(bias), pairs))
        if sampling.repeat_penalty != 1.0:
            repeat = llama.llama_sampler_init_penalties(size, REPEAT_WINDOW, sampling.repeat_penalty, 0.0, 0.0)
            for token in prompt_tail[-REPEAT_WINDOW:]:
                llama.llama_sampler_accept(repeat, token)
            self._add(repeat)
        if sampling.presence_penalty or sampling.frequency_penalty:
            frequency, presence = sampling.frequency_penalty, sampling.presence_penalty
            self._add(llama.llama_sampler_init_penalties(size, _COUNT_WINDOW, 1.0, frequency, presence))
        if sampling.temperature <= 0:
            self._add(llama.llama_sampler_init_greedy())
            return
        if sampling.top_k > 0:
            self._add(llama.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1:
            self._add(llama.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0:
            self._add(llama.llama_sampler_init_min_p(sampling.min_p, 1))
        self._add(llama.llama_sampler_init_temp(sampling.temperature))
        seed = sampling.seed & _SEED_MASK
        self._add(llama.llama_sampler_init_dist(seed if seed != _SEED_MASK else seed - 1))

    def _add(self, sampler: Any) -> None:
        llama.llama_sampler_chain_add(self._chain, sampler)

    def sample(self, context: Any, index: int, candidates: Candidates) -> int | None:
        """The next token, from the logits of the batch's token `index`; None: the grammar leaves no token to choose.

        The grammar is asked about the one token that would have been chosen. Only where it refuses that are all others
        looked through, which takes far longer: llama.cpp's own order of things, too.
        """
        if self._grammar is None:
            return int(llama.llama_sampler_sample(self._chain, context, index))
        logits = candidates.logits(context, index)
        array = candidates.fill(logits)
        apply(self._chain, array)
        token = candidates.chosen(array)
        if not self._grammar.allows(token):
            array = candidates.fill(logits)
            self._grammar.mask(array)
            if not candidates.any_left():
                return None
            apply(self._chain, array)
            token = candidates.chosen(array)
            if not self._grammar.allows(token):  # a bias forbids all that the grammar allows
                return None
        llama.llama_sampler_accept(self._chain, token)
        self._grammar.accept(token)
        return token

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            llama.llama_sampler_free(self._chain)
            self._chain = None
