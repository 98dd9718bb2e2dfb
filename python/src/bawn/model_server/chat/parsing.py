"""The model's text, as it comes, split into answer, reasoning and tool calls."""

from typing import Final, Literal, NamedTuple

from bawn.model_server.chat.calls.reader import CallReader, Calls, overlap
from bawn.model_server.chat.dialects import CallFormat, Dialect
from bawn.model_server.chat.parts import Part, Reasoning, Text
from bawn.model_server.chat.tools import Tools

_TELLING: Final = 5  # so many characters of a mark are the mark, cut off; fewer may be text


class _Mark(NamedTuple):
    at: int
    text: str
    means: CallFormat | Literal["turn", "text", "unsure"]


class AnswerParser:
    """Parses one answer. Where its pieces are cut does not matter: the parts add up to the same.

    White space around reasoning and calls is the format's, not the answer's, and is left out.
    """

    def __init__(self, dialect: Dialect, tools: Tools, *, reasoning: bool = False) -> None:
        """Begin.

        Args:
            dialect: the model's.
            tools: where none may be called, nothing is read as a call.
            reasoning: the prompt ends inside the marks of reasoning.
        """
        self._tools = tools
        self._formats = dialect.calls if tools.callable_names else ()
        self._thinking = dialect.thinking
        self._reasons = reasoning
        self._calls = Calls(dialect.new_id)
        self._reader: CallReader | None = None
        self._held = ""
        self._space = ""  # white space that is the answer's only if more of it follows
        self._fresh = True  # no text yet since the beginning, the reasoning or the last call
        self._strip = reasoning

    @property
    def calls(self) -> int:
        """Tool calls so far."""
        return self._calls.count

    def push(self, text: str) -> list[Part]:
        """Parts that `text` makes certain."""
        if not self._formats and self._thinking is None:
            return [Text(text)] if text else []
        self._held += text
        parts: list[Part] = []
        while self._held and self._step(parts):
            pass
        return parts

    def end(self) -> list[Part]:
        """What was held back, now that nothing more comes."""
        parts: list[Part] = []
        if self._reader is not None:
            parts += self._reader.end()
            if self._reader.refused is not None:
                self._say(self._reader.refused, parts)
            self._reader = None
        elif not self._begins_a_call(self._held):
            self._say(self._held, parts)
        self._held = ""
        if self._space and not self._reasons and not self.calls:
            parts.append(Text(self._space))
        return parts

    def _begins_a_call(self, text: str) -> bool:
        """The output was cut off in the opening of a call."""
        marks = [form.opening for form in self._formats if not form.first]
        return any(text.startswith(mark) or (len(text) >= _TELLING and mark.startswith(text)) for mark in marks)

    def _step(self, parts: list[Part]) -> bool:
        """Take one thing out of what is held; False: more text must come."""
        if self._reader is not None:
            return self._read(self._reader, parts)
        mark = self._next_mark()
        if mark is None:
            keep = max((overlap(self._held, text) for text in self._marks()), default=0)
            at = len(self._held) - keep
            self._say(self._held[:at], parts)
            self._held = self._held[at:]
            return False
        at, text, means = mark
        if means == "text":
            at += len(text)
        self._say(self._held[:at], parts)
        self._held = self._held[at:]
        if means == "turn":
            self._held = self._held[len(text) :]
            self._turn(text)
        elif isinstance(means, CallFormat):
            self._space = ""
            self._reader = means.reader(self._calls, self._tools)
            self._held = self._held if means.keep else self._held[len(text) :]
        return means != "unsure"

    def _read(self, reader: CallReader, parts: list[Part]) -> bool:
        text, self._held = self._held, ""
        parts += reader.push(text)
        if reader.refused is not None:
            self._reader = None
            self._say(reader.refused, parts)
        elif reader.done:
            self._held, self._reader = reader.rest, None
            self._fresh = self._strip = True
        return bool(self._held)

    def _marks(self) -> list[str]:
        """Texts that may mean something here."""
        marks = [form.opening for form in self._formats if not form.first or self._fresh]
        if self._thinking is not None and (self._reasons or self._fresh):
            marks.append(self._thinking.closing)
            if not self._reasons:
                marks.append(self._thinking.opening)
        return marks

    def _next_mark(self) -> _Mark | None:
        places = [(at, text) for text in self._marks() if (at := self._held.find(text)) >= 0]
        if not places:
            return None
        at, text = min(places)
        return _Mark(at, text, self._meaning(at, text))

    def _meaning(self, at: int, text: str) -> CallFormat | Literal["turn", "text", "unsure"]:
        first = self._fresh and not self._held[:at].strip()
        unsure = False
        for form in self._formats:
            if form.opening == text and (first or not form.first):
                verdict = form.is_call(self._held[at + len(text) :])
                if verdict:
                    return form
                unsure = unsure or verdict is None
        if unsure:
            return "unsure"
        thinking = self._thinking
        if thinking is None or text not in (thinking.opening, thinking.closing):
            return "text"
        # Elsewhere an answer speaks of the marks.
        return "turn" if self._reasons or first else "text"

    def _turn(self, mark: str) -> None:
        """From the answer to reasoning, or back; a closing mark without an opening one is left out."""
        assert self._thinking is not None  # noqa: S101 - it has the mark
        self._reasons = mark == self._thinking.opening
        self._space, self._fresh, self._strip = "", True, True

    def _say(self, text: str, parts: list[Part]) -> None:
        text = self._space + text
        if self._strip and self._fresh:
            text = text.lstrip()
        bare = text.rstrip()
        self._space = text[len(bare) :]
        if bare:
            self._fresh = False
            parts.append(Reasoning(bare) if self._reasons else Text(bare))
