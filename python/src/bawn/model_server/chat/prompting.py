"""From a request's messages to the prompt, by the model's own template."""

import hashlib
import string
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from bawn.contracts.errors import InvalidRequest
from bawn.contracts.openai import Message
from bawn.model_server.chat.dialects import Dialect, dialect_of
from bawn.model_server.chat.folding import foldings, late_system_as_user
from bawn.model_server.chat.generic import with_tools
from bawn.model_server.chat.messages import for_template
from bawn.model_server.chat.template import ChatTemplate

_SHORT: Final = 9
_PROBE: Final = "\N{SYMBOL FOR UNIT SEPARATOR}"
_LATE: Final[list[dict[str, Any]]] = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"},
    {"role": "system", "content": _PROBE},
    {"role": "user", "content": "c"},
]


class Prompt(NamedTuple):
    """A rendered prompt."""

    text: str
    reasoning: bool
    """It ends inside the marks of reasoning: the model thinks first."""


class Prompter:
    """The chat template of a model, and the dialect that it teaches. Safe from every thread."""

    def __init__(self, source: str, *, bos: str, eos: str) -> None:
        """Compile the template.

        Raises:
            jinja2.TemplateSyntaxError: it is not valid Jinja.
        """
        self._template = ChatTemplate(source, bos=bos, eos=eos)
        self.dialect: Dialect = dialect_of(source)
        self._drops_late_system = self._drops(_LATE)

    def _drops(self, late: list[dict[str, Any]]) -> bool:
        """Whether the template leaves out a system message in the middle without a word."""
        try:
            return _PROBE not in self._template.render(late)
        except InvalidRequest:
            return False  # it says so each time, and `foldings` is asked

    def sample(self) -> str:
        """A prompt of several short messages, by which its form is told; empty where the template refuses them."""
        try:
            return self._template.render([one for one in _LATE if one["role"] != "system"])
        except InvalidRequest:
            return ""

    def prompt(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Prompt:
        """The prompt, up to where the answer begins.

        Args:
            messages: of the request.
            tools: in the OpenAI dialect.
            extra: `chat_template_kwargs` of the request.

        Raises:
            InvalidRequest: the messages can't be rendered, however they are arranged.
        """
        plain = for_template(messages)
        if self.dialect.short_ids:
            plain = _with_short_ids(plain)
        if self.dialect.name == "generic":
            plain, tools = with_tools(plain, tools or ()), None
        if self._drops_late_system:
            plain = late_system_as_user(plain)
        text = self._render(plain, tools, extra)
        thinking = self.dialect.thinking
        return Prompt(text, thinking is not None and text.rstrip().endswith(thinking.opening.rstrip()))

    def _render(
        self, plain: list[dict[str, Any]], tools: Sequence[Mapping[str, Any]] | None, extra: Mapping[str, Any] | None
    ) -> str:
        try:
            return self._template.render(plain, tools=tools, extra=extra)
        except InvalidRequest as error:
            refused = error
        tried = [plain]
        for fold in foldings():
            folded = fold(plain)
            if folded in tried:
                continue
            tried.append(folded)
            try:
                return self._template.render(folded, tools=tools, extra=extra)
            except InvalidRequest:
                continue
        raise refused


def _with_short_ids(plain: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ids of calls, whoever made them, as nine letters and digits."""
    changed: list[dict[str, Any]] = []
    for message in plain:
        copy = dict(message)
        if "tool_call_id" in copy:
            copy["tool_call_id"] = _short(copy["tool_call_id"])
        if "tool_calls" in copy:
            copy["tool_calls"] = [{**call, "id": _short(call["id"])} for call in copy["tool_calls"]]
        changed.append(copy)
    return changed


def _short(name: str) -> str:
    if len(name) == _SHORT and name.isascii() and name.isalnum():
        return name
    letters = string.ascii_letters + string.digits
    return "".join(letters[byte % len(letters)] for byte in hashlib.sha256(name.encode()).digest()[:_SHORT])
