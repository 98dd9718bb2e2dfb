"""A grammar that holds a generation to a form, by llama.cpp's grammar sampler."""

import ctypes
import weakref
from typing import Any

import llama_cpp.llama_cpp as llama

from bawn.model_server.engine.candidates import apply
from bawn.model_server.engine.vocabulary import Vocabulary


class InvalidGrammar(Exception):
    """llama.cpp can't read the grammar."""


class Grammar:
    """One generation's state in a grammar; freed with the object.

    It is compiled where the request is read, since that takes milliseconds, and then belongs to the engine's thread.
    """

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        """Compile.

        Args:
            text: GBNF, whose root is the rule `root`.
            vocabulary: the model's.

        Raises:
            InvalidGrammar: it is not valid.
        """
        sampler: Any = llama.llama_sampler_init_grammar(vocabulary.raw, text.encode(), b"root")
        if not sampler:
            raise InvalidGrammar
        self._take(sampler)

    def _take(self, sampler: Any) -> None:
        self._sampler = sampler
        weakref.finalize(self, llama.llama_sampler_free, sampler)
        self._one: Any = llama.llama_token_data()
        self._alone: Any = llama.llama_token_data_array(ctypes.pointer(self._one), 1, -1, False)

    def copy(self) -> "Grammar":
        """The same grammar in the same state, for another generation."""
        other = object.__new__(Grammar)
        other._take(llama.llama_sampler_clone(self._sampler))
        return other

    def allows(self, token: int) -> bool:
        """Whether `token` may come next."""
        self._one.id, self._one.logit = token, 0.0
        apply(self._sampler, self._alone)
        return self._one.logit == 0.0

    def mask(self, candidates: Any) -> None:
        """Give what may not come next a logit of minus infinity, in a `llama_token_data_array`."""
        apply(self._sampler, candidates)

    def accept(self, token: int) -> None:
        """`token` came. Only one that is allowed: llama.cpp ends the process at another."""
        llama.llama_sampler_accept(self._sampler, token)
