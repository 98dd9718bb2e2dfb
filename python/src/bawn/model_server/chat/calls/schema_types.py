"""What a JSON schema says of one parameter that came as plain text."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from bawn.model_server.chat.parts import Schema

_DEPTH: Final = 16
_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})
PYTHON_WORDS: Final = {"True": "true", "False": "false", "None": "null"}
"""What models, and Jinja, write where JSON's words belong."""


def plain_text(schema: Schema, parameter: str) -> bool:
    """Whether the parameter can only be a string, or is not declared."""
    return types_of(schema, parameter) <= {"string"}


def as_json(schema: Schema, parameter: str, text: str) -> str:
    """The parameter's value as JSON text, where it may be more than a string.

    What is no JSON of a type that the schema allows is a string: the tool's own check has to see what was written.
    """
    word = text.strip()
    word = PYTHON_WORDS.get(word, word)
    try:
        value = msgspec.json.decode(word)
    except (msgspec.DecodeError, RecursionError):
        return json.dumps(text, ensure_ascii=False)
    if _type(value) & types_of(schema, parameter):
        return word
    return json.dumps(text, ensure_ascii=False)


def _type(value: object) -> set[str]:
    match value:
        case None:
            return {"null"}
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"number", "integer"} if value.is_integer() else {"number"}
        case list():
            return {"array"}
        case dict():
            return {"object"}
        case _:
            return set()


def types_of(schema: Schema, parameter: str) -> set[str]:
    """JSON types that the schema of the arguments allows for one of them; what is not declared is a string."""
    properties = schema.get("properties")
    of = cast("Mapping[str, Any]", properties).get(parameter) if isinstance(properties, dict) else None
    return _allowed(of, schema, _DEPTH) if of is not None else {"string"}


def _allowed(of: object, whole: Schema, depth: int) -> set[str]:
    if not isinstance(of, dict) or depth == 0:
        return set(_TYPES)
    schema = cast("dict[str, Any]", of)
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _allowed(_resolved(reference, whole), whole, depth - 1)
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            return set[str]().union(*(_allowed(one, whole, depth - 1) for one in schema[key]))
    if isinstance(schema.get("allOf"), list):
        return set(_TYPES).intersection(*(_allowed(one, whole, depth - 1) for one in schema["allOf"])) or set(_TYPES)
    given = schema.get("type")
    if isinstance(given, str):
        return {given}
    if isinstance(given, list):
        return {one for one in cast("list[object]", given) if isinstance(one, str)}
    values: list[object] = schema["enum"] if isinstance(schema.get("enum"), list) else []
    values = [schema["const"]] if "const" in schema else values
    if values:
        return set[str]().union(*(_type(value) or {"string"} for value in values))
    return {"object"} if "properties" in schema else set(_TYPES)


def _resolved(reference: str, whole: Schema) -> object:
    at: object = whole
    for step in reference.removeprefix("#/").split("/"):
        if not isinstance(at, dict):
            return None
        at = at.get(step.replace("~1", "/").replace("~0", "~"))
    return at
