"""The form of tool calls in each dialect, as grammar rules."""

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

from bawn.model_server.chat.calls.gemma_calls import QUOTE
from bawn.model_server.chat.calls.schema_types import types_of
from bawn.model_server.chat.calls.xml_calls import properties_of
from bawn.model_server.chat.constraints.rules import Rules, literal
from bawn.model_server.chat.constraints.schemas import UnusableSchema, schema_rules
from bawn.model_server.chat.dialects import Dialect, Name
from bawn.model_server.chat.parts import Schema

_MOST_REQUIRED: Final = 6
"""Parameters in any order need a rule for each set of those that are still missing."""
_ID: Final = "[a-zA-Z0-9]{9}"


class CallForm(NamedTuple):
    """How one call is written."""

    mark: str
    """Where it is certain that a call begins: text may speak of less."""
    rest: str
    """Name of the rule for what follows, up to the call's end."""


def call_form(rules: Rules, dialect: Dialect, schemas: Mapping[str, Schema], *, parallel: bool) -> CallForm:
    """Add the rules of one call of any of the tools in `schemas`; of several, where the form is a list of them and they
    may be made at once."""
    if dialect.name == "mistral" and dialect.listed_calls:
        return CallForm('[TOOL_CALLS][{"name": "', rules.add(_mistral_list(rules, schemas, parallel=parallel)))
    mark, write = _FORMS[dialect.name]
    return CallForm(mark, rules.add(write(rules, schemas)))


def _arguments(rules: Rules, schemas: Mapping[str, Schema]) -> dict[str, str]:
    """Rule of each tool's arguments as JSON; a schema that can't be held to is any object."""
    found: dict[str, str] = {}
    for number, (tool, schema) in enumerate(schemas.items()):
        try:
            names, text = schema_rules([{"type": "object", **schema}], f"args{number}-")
        except UnusableSchema:
            names, text = schema_rules([{"type": "object"}], f"args{number}-")
        rules.take(text)
        found[tool] = names[0]
    return found


def _hermes(rules: Rules, schemas: Mapping[str, Schema]) -> str:
    arguments = _arguments(rules, schemas)
    end = literal("}\n</tool_call>")
    return " | ".join(f"{_named(name, 'arguments')} {rule} {end}" for name, rule in arguments.items())


def _llama(rules: Rules, schemas: Mapping[str, Schema]) -> str:
    arguments = _arguments(rules, schemas)
    return " | ".join(f"{_named(name, 'parameters')} {rule} {literal('}')}" for name, rule in arguments.items())


def _mistral(rules: Rules, schemas: Mapping[str, Schema]) -> str:
    arguments = _arguments(rules, schemas)
    an_id = rules.add(f"({literal('[CALL_ID]')} {_ID})?")
    return " | ".join(f"{literal(name)} {an_id} {literal('[ARGS]')} {rule}" for name, rule in arguments.items())


def _mistral_list(rules: Rules, schemas: Mapping[str, Schema], *, parallel: bool) -> str:
    arguments = _arguments(rules, schemas)
    call = rules.add(" | ".join(f"{_named(name, 'arguments')} {rule}" for name, rule in arguments.items()))
    before, again = literal(', "id": "'), literal(', {"name": "')
    an_id = rules.add(f'({before} {_ID} "\\"")?')
    more = f'({again} {call} {an_id} "}}")*' if parallel else ""
    return f'{call} {an_id} "}}" {more} "]"'


def _named(name: str, key: str) -> str:
    """The name, inside JSON's quotes that are already open, and the key of the arguments."""
    return literal(json.dumps(name, ensure_ascii=False)[1:] + f', "{key}": ')


def _xml(rules: Rules, schemas: Mapping[str, Schema]) -> str:
    end = literal("</function>\n</tool_call>")
    calls: list[str] = []
    for number, (name, schema) in enumerate(schemas.items()):
        head = literal(f"{name}>\n")
        each = {one: rules.add(_xml_parameter(rules, schema, one, number)) for one in properties_of(schema)}
        calls.append(f"{head} {_in_any_order(rules, each, schema)} {end}")
    return " | ".join(calls)


def _xml_parameter(rules: Rules, schema: Schema, name: str, tool: int) -> str:
    head, end = literal(f"<parameter={name}>\n"), "\n</parameter>\n"
    of: Any = properties_of(schema)[name]
    if words := _words(of):
        return f"{head} ({' | '.join(map(literal, words))}) {literal(end)}"
    kinds = types_of(schema, name)
    if kinds and "string" not in kinds:
        own: Schema = {**of, "$defs": schema["$defs"]} if "$defs" in schema else of
        try:
            rule, text = schema_rules([own], f"p{tool}-{rules.size}-")
            rules.take(text)
            return f"{head} {rule[0]} {literal(end)}"
        except UnusableSchema:
            pass
    return f"{head} {_text_until(rules, end)}"


def _words(of: Any) -> list[str]:
    """The texts that a parameter may be one of; none where it may be others."""
    words = of.get("enum") if isinstance(of, dict) else None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in cast("list[object]", words)):
        return []
    return cast("list[str]", words)


def _text_until(rules: Rules, mark: str) -> str:
    return rules.free_text({mark: rules.add('""')}, may_end=False)


def _gemma(rules: Rules, schemas: Mapping[str, Schema]) -> str:
    string = rules.add(f"{literal(QUOTE)} {_text_until(rules, QUOTE)}")
    number = '"-"? [0-9]+ ("." [0-9]+)? ([eE] [-+]? [0-9]+)?'
    scalars = {"number": number, "integer": '"-"? [0-9]+', "boolean": '"true" | "false"', "null": '"null"'}
    kinds = {kind: rules.add(body) for kind, body in scalars.items()} | {"string": string}
    anything = rules.add("")
    key = rules.add("[a-zA-Z0-9_.-]+")
    kinds["array"] = rules.add(f'"[" ({anything} ("," {anything})*)? "]"')
    kinds["object"] = rules.add(f'"{{" ({key} ":" {anything} ("," {key} ":" {anything})*)? "}}"')
    rules.add(" | ".join(kinds.values()), anything)
    calls: list[str] = []
    for name, schema in schemas.items():
        each: dict[str, str] = {}
        for one, of in properties_of(schema).items():
            words = [literal(f"{QUOTE}{word}{QUOTE}") for word in _words(of)]
            allowed = words or [kinds[kind] for kind in sorted(types_of(schema, one)) if kind in kinds] or [anything]
            each[one] = rules.add(f"{literal(f'{one}:')} ({' | '.join(allowed)})")
        ordered = _in_any_order(rules, each, schema, literal(","))
        calls.append(f"{literal(name + '{')} {ordered} {literal('}<tool_call|>')}")
    return " | ".join(calls)


def _in_any_order(rules: Rules, each: Mapping[str, str], schema: Schema, separator: str = "") -> str:
    """The rule of a tool's parameters, whose own rules are `each`, in any order, the required ones all there."""
    required = [name for name in cast("list[str]", schema.get("required") or []) if name in each]
    if len(required) > _MOST_REQUIRED:
        required = []
    optional = " | ".join(rule for name, rule in each.items() if name not in required)
    sets = [frozenset(some) for size in range(len(required) + 1) for some in itertools.combinations(required, size)]
    # A rule for each set of what is missing: at the beginning, and after a first one.
    names = {(some, first): rules.add("") for some in sets for first in (True, False)}
    for (missing, first), name in names.items():
        before = "" if first else separator
        ways = [f"{before} {each[one]} {names[missing - {one}, False]}" for one in required if one in missing]
        if optional:
            ways.append(f"{before} ({optional}) {names[missing, False]}")
        if not missing:
            ways.append('""')
        rules.add(" | ".join(ways), name)
    return names[frozenset(required), True]


_FORMS: Final[dict[Name, tuple[str, Callable[[Rules, Mapping[str, Schema]], str]]]] = {
    "hermes": ('<tool_call>\n{"name": "', _hermes),
    "generic": ('<tool_call>\n{"name": "', _hermes),
    "qwen-xml": ("<tool_call>\n<function=", _xml),
    "mistral": ("[TOOL_CALLS]", _mistral),
    "gemma": ("<|tool_call>call:", _gemma),
    "llama3": ('{"name": "', _llama),
}
