"""Text to tokens and tokens to bytes, with a model's own vocabulary."""

import ctypes
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import llama_cpp.llama_cpp as llama

NO_TOKEN: Final = -1
_UNUSED: Final = 128


class Vocabulary:
    """A model's vocabulary. Reading it is safe from every thread."""

    def __init__(self, vocab: Any) -> None:
        self._vocab = vocab
        self.size = int(llama.llama_vocab_n_tokens(vocab))
        self._pieces: dict[tuple[int, bool], bytes] = {}
        self.end_tokens = frozenset(t for t in range(self.size) if llama.llama_vocab_is_eog(vocab, t))
        """Tokens that end a generation."""
        self.adds_bos = bool(llama.llama_vocab_get_add_bos(vocab))
        self._adds_eos = bool(llama.llama_vocab_get_add_eos(vocab))
        self._bos = int(llama.llama_vocab_bos(vocab))
        self._eos = int(llama.llama_vocab_eos(vocab))
        fim = (llama.llama_vocab_fim_pre, llama.llama_vocab_fim_suf, llama.llama_vocab_fim_mid)
        self._fim = tuple(int(token(vocab)) for token in fim)

    @property
    def raw(self) -> Any:
        """The `llama_vocab` pointer."""
        return self._vocab

    @property
    def bos_text(self) -> str:
        """The beginning-of-text token as a chat template writes it; empty when there is none."""
        return self._text(self._bos)

    @property
    def eos_text(self) -> str:
        """The end-of-text token as a chat template writes it; empty when there is none."""
        return self._text(self._eos)

    def _text(self, token: int) -> str:
        return "" if token == NO_TOKEN else llama.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace")

    @property
    def has_fim(self) -> bool:
        """Whether the model has tokens for fill-in-the-middle."""
        return NO_TOKEN not in self._fim

    def difference(self, other: "Vocabulary") -> str | None:
        """In what the vocabularies differ, so that one's tokens mean nothing in the other; None: they are the same.

        At their ends, models may have some unused tokens more.
        """
        if abs(self.size - other.size) > _UNUSED:
            return f"{other.size:,} tokens and {self.size:,}"
        for name in ("_bos", "_eos"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"the {name[1:]} token is {theirs} and {mine}"
        text = llama.llama_vocab_get_text
        for token in range(min(self.size, other.size)):
            if text(self._vocab, token) != text(other.raw, token):
                return f"token {token} differs"
        return None

    def tokens(self, text: str, *, special: bool, begin: bool) -> list[int]:
        """Tokens of `text`.

        Args:
            special: text such as `<|im_end|>` becomes the token of that name.
            begin: put the beginning-of-text token first, where the model wants one.
        """
        data = text.encode("utf-8", "replace")
        room = len(data) + 2
        while True:
            buffer = (llama.llama_token * room)()
            count = int(llama.llama_tokenize(self._vocab, data, len(data), buffer, room, begin, special))
            if count >= 0:
                break
            room = -count
        found = list(buffer[:count])
        # A prompt is to be continued: some vocabularies would end it.
        if begin and self._adds_eos and found and found[-1] == self._eos:
            found.pop()
        return found

    def prompt_tokens(self, text: str) -> list[int]:
        """Tokens of a rendered prompt, whose template may have written the beginning-of-text token itself."""
        bos = self.bos_text
        return self.tokens(text, special=True, begin=not (self.adds_bos and bos and text.startswith(bos)))

    def fim_tokens(self, prefix: str, suffix: str) -> list[int]:
        """A fill-in-the-middle prompt: prefix, suffix, middle. Only where `has_fim`."""
        before, after, middle = self._fim
        head = [self._bos] if self.adds_bos and self._bos != NO_TOKEN else []
        text = [self.tokens(part, special=False, begin=False) for part in (prefix, suffix)]
        return [*head, before, *text[0], after, *text[1], middle]

    def control_tokens(self, texts: Iterable[str]) -> frozenset[int]:
        """The control tokens among those that `texts` consist of."""
        tokens = {token for text in texts for token in self.tokens(text, special=True, begin=False)}
        return frozenset(token for token in tokens if llama.llama_vocab_is_control(self._vocab, token))

    def border(self, prompt: str) -> int | None:
        """The token with which each message of `prompt` begins: the first control token that comes more than once."""
        counts = Counter(self.prompt_tokens(prompt))
        repeated = (token for token, count in counts.items() if count > 1 and token != self._bos)
        return next((token for token in repeated if llama.llama_vocab_is_control(self._vocab, token)), None)

    def piece(self, token: int, *, shown: bool = False) -> bytes:
        """The bytes that a token stands for, which may split a code point.

        Args:
            token: of this vocabulary.
            shown: a control token stands for its name; otherwise for nothing.
        """
        known = self._pieces.get((token, shown))
        if known is None:
            known = self._pieces[token, shown] = self._piece(token, shown)
        return known

    def _piece(self, token: int, shown: bool) -> bytes:
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            size = int(llama.llama_token_to_piece(self._vocab, token, buffer, room, 0, shown))
            if size >= 0:
                return buffer.raw[:size]
            room = -size
