"""A GGUF's own chat template, rendered where it can't reach anything but its input."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bawn.contracts.errors import InvalidRequest


class _Refusal(Exception):
    """`raise_exception` was called: the template does not take these messages."""


def _refuse(message: object) -> NoReturn:
    raise _Refusal(str(message))


def _now(form: str) -> str:
    return datetime.datetime.now().astimezone().strftime(form)


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own filter escapes for HTML, which models were not trained on.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class _Generation(Extension):
    """`{% generation %}`, by which templates mark the assistant's words for training: it says nothing here."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body as it is."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """Renders messages to a prompt the way Hugging Face's `apply_chat_template` does."""

    def __init__(self, source: str, *, bos: str, eos: str) -> None:
        """Compile the template.

        Raises:
            jinja2.TemplateSyntaxError: it is not valid Jinja.
        """
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
        )
        environment.filters["tojson"] = _to_json
        functions: dict[str, Any] = {"raise_exception": _refuse, "strftime_now": _now}
        environment.globals.update(functions)
        self._template = environment.from_string(source)
        self._bos, self._eos = bos, eos

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt, up to where the assistant's answer begins.

        Args:
            messages: as `chat.messages.for_template` makes them.
            tools: in the OpenAI dialect; templates that know no tools ignore them.
            extra: `chat_template_kwargs` of the request.

        Raises:
            InvalidRequest: the template refuses the messages; carries its message.
        """
        variables = dict(extra or {})
        variables |= {
            "messages": list(messages),
            "tools": list(tools) if tools else None,
            "add_generation_prompt": True,
            "bos_token": self._bos,
            "eos_token": self._eos,
        }
        try:
            return self._template.render(variables)
        except _Refusal as error:
            raise InvalidRequest(
                f"The model's chat template refuses the messages: {error}", param="messages"
            ) from error
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
            raise InvalidRequest(
                f"The model's chat template can't render the messages: {error}", param="messages"
            ) from error
        except RecursionError as error:
            raise InvalidRequest("The messages are nested too deep for the chat template.", param="messages") from error
