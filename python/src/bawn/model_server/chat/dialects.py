"""How a family of models writes reasoning and tool calls; told from its chat template."""

import secrets
import string
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from bawn.model_server.chat.calls import gemma_calls, mistral_calls, xml_calls
from bawn.model_server.chat.calls.gemma_calls import GemmaCalls
from bawn.model_server.chat.calls.json_calls import JsonCalls
from bawn.model_server.chat.calls.mistral_calls import MistralCalls
from bawn.model_server.chat.calls.python_calls import PythonCalls
from bawn.model_server.chat.calls.reader import CallReader, Calls, begins
from bawn.model_server.chat.calls.xml_calls import XmlCalls
from bawn.model_server.chat.tools import Tools

Name = Literal["qwen-xml", "hermes", "mistral", "gemma", "llama3", "generic"]


class Thinking(msgspec.Struct, frozen=True):
    """The marks around reasoning."""

    opening: str
    closing: str


class CallFormat(msgspec.Struct, frozen=True):
    """How a call begins, and who reads on."""

    opening: str
    reader: Callable[[Calls, Tools], CallReader]
    then: tuple[str, ...] = ()
    """What must follow, after white space, for it to be a call: text may speak of the mark, too. Empty: anything."""
    keep: bool = False
    """The mark itself is read, too."""
    first: bool = False
    """Only where the answer has no text yet."""

    def is_call(self, after: str) -> bool | None:
        """Whether a call begins, by the text after the mark; None: more text must tell."""
        if not self.then:
            return True
        verdicts = [begins(after.lstrip(), text) for text in self.then]
        return True if True in verdicts else None if None in verdicts else False


class Dialect(msgspec.Struct, frozen=True):
    """One way of writing."""

    name: Name
    calls: tuple[CallFormat, ...]
    thinking: Thinking | None = None
    short_ids: bool = False
    """Ids of calls are nine letters and digits: Mistral's templates refuse others."""
    listed_calls: bool = False
    """Calls are one JSON list: Mistral's form until 2025."""

    @property
    def marks(self) -> frozenset[str]:
        """Texts that a model may write as one control token, and that must be seen."""
        own = {mark for form in self.calls for mark in (form.opening, *form.then)}
        thinking = {self.thinking.opening, self.thinking.closing} if self.thinking else set[str]()
        return frozenset(own | thinking | _INNER_MARKS[self.name])

    def new_id(self) -> str:
        """The id of a new call."""
        letters = string.ascii_letters + string.digits
        return "".join(secrets.choice(letters) for _ in range(9)) if self.short_ids else f"call_{secrets.token_hex(12)}"


_INNER_MARKS: Final[dict[Name, set[str]]] = {
    "qwen-xml": {xml_calls.END_CALL, xml_calls.END_FUNCTION, xml_calls.END_PARAMETER, xml_calls.PARAMETER},
    "hermes": {xml_calls.END_CALL},
    "generic": {xml_calls.END_CALL},
    "mistral": {mistral_calls.ARGUMENTS, mistral_calls.CALL_ID},
    "gemma": {gemma_calls.END_CALL, gemma_calls.QUOTE},
    "llama3": set(),
}


_OTHERS: Final = ("<arg_key>", "<tool_calls>")
"""Marks of formats that use `<tool_call>` for something else, or not at all."""


def _in_tag(calls: Calls, _: Tools) -> CallReader:
    return JsonCalls(calls, closing=xml_calls.END_CALL)


_TAGGED_JSON: Final = CallFormat("<tool_call>", _in_tag, then=("{", "["))
_TAGGED_XML: Final = CallFormat(
    "<tool_call>", lambda calls, tools: XmlCalls(calls, tools.schemas), then=(xml_calls.FUNCTION,)
)
_BARE_XML: Final = CallFormat(
    xml_calls.FUNCTION, lambda calls, tools: XmlCalls(calls, tools.schemas), keep=True, first=True
)
_BARE_JSON: Final = CallFormat(
    "{",
    lambda calls, tools: JsonCalls(calls, known=tools.schemas),
    then=('"name"', '"type"', '"function"', '"parameters"'),
    keep=True,
    first=True,
)

_CALLS: Final[dict[Name, tuple[CallFormat, ...]]] = {
    # Qwen3-Coder forgets the outer tag at times, and falls back to JSON in it at others.
    "qwen-xml": (_TAGGED_XML, _TAGGED_JSON, _BARE_XML),
    "hermes": (_TAGGED_JSON, _TAGGED_XML),
    "generic": (_TAGGED_JSON,),
    "mistral": (CallFormat("[TOOL_CALLS]", lambda calls, _: MistralCalls(calls)),),
    "gemma": (CallFormat("<|tool_call>", lambda calls, _: GemmaCalls(calls), then=(gemma_calls.CALL,)),),
    "llama3": (CallFormat("<|python_tag|>", lambda calls, _: PythonCalls(calls)), _BARE_JSON),
}


def dialect_of(template: str) -> Dialect:
    """The dialect that a chat template teaches.

    A template that knows no tools, or has them in a format that is not read here, gets `generic`: tools are described
    in the prompt in our own words (`chat.generic`), and called in Hermes' format.
    """
    name: Name = "generic"
    if "<|tool_call>call:" in template:
        name = "gemma"
    elif "<tool_call>" in template and "<function=" in template:
        name = "qwen-xml"
    elif "[TOOL_CALLS]" in template:
        name = "mistral"
    elif "<tool_call>" in template and '"arguments"' in template and not any(mark in template for mark in _OTHERS):
        name = "hermes"
    elif "<|start_header_id|>" in template and '"parameters": ' in template and "tool_calls" in template:
        name = "llama3"
    listed = name == "mistral" and mistral_calls.ARGUMENTS not in template
    return Dialect(name, _CALLS[name], _thinking(template), short_ids=name == "mistral", listed_calls=listed)


def _thinking(template: str) -> Thinking | None:
    for opening, closing in (("<|channel>thought\n", "<channel|>"), ("[THINK]", "[/THINK]"), ("<think>", "</think>")):
        if opening.strip() in template or closing in template:
            return Thinking(opening, closing)
    return None
