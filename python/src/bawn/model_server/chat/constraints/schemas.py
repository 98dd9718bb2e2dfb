"""JSON schemas as grammar rules, by llama-cpp-python's converter.

It knows less than JSON Schema has: what it can't hold to is left out beforehand, so that a schema is loosened rather
than refused or, worse, turned into another one.
"""

from typing import Any, Final, cast

from llama_cpp.llama_grammar import SchemaConverter

from bawn.model_server.chat.parts import Schema

_LONGEST: Final = 256
"""Lengths above it aren't held to: a rule is repeated that often."""
_DEPTH: Final = 64
_LIMITS: Final = ("minLength", "maxLength", "minItems", "maxItems")
_TYPED: Final = ("properties", "items", "prefixItems", "additionalProperties", "pattern", "format", "enum", "const")
_ANYTHING: Final = {"anyOf": [{"type": kind} for kind in ("object", "array", "string", "number", "boolean", "null")]}
_CHAR: Final = r'char ::= [^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})'
"""The converter's own rule lets line breaks into strings, which JSON does not."""


class UnusableSchema(Exception):
    """The schema can't be turned into a grammar."""


def schema_rules(schemas: list[Schema], prefix: str = "json") -> tuple[list[str], str]:
    """The name of each schema's rule, and the text of all rules that they need.

    Raises:
        UnusableSchema: one can't be converted.
    """
    converter: Any = SchemaConverter(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)
    names: list[str] = []
    try:
        for number, schema in enumerate(schemas):
            name = f"{prefix}{number}"
            plain = cast("dict[str, Any]", _plain(_own_definitions(schema, name), _DEPTH))
            names.append(str(converter.visit(converter.resolve_refs(plain, name), name)))
        text: str = converter.format_grammar()
    except (AssertionError, ValueError, KeyError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise UnusableSchema(str(error)) from error
    lines = [_CHAR if line.startswith("char ::=") else line for line in text.splitlines()]
    return names, "\n".join(lines) + "\n"


def _own_definitions(schema: Schema, name: str) -> Schema:
    """The schema with its definitions renamed: the converter tells them apart by their last name alone."""
    renamed: dict[str, object] = {}

    def walk(of: object, depth: int) -> object:
        if depth == 0:
            raise UnusableSchema("the schema is nested too deep")
        if isinstance(of, list):
            return [walk(one, depth - 1) for one in cast("list[object]", of)]
        if not isinstance(of, dict):
            return of
        items = cast("dict[str, object]", of)
        copy = {key: walk(value, depth - 1) for key, value in items.items() if key not in ("$defs", "definitions")}
        for key in ("$defs", "definitions"):
            kept = items.get(key)
            if isinstance(kept, dict):
                for called, value in cast("dict[str, object]", kept).items():
                    renamed[f"{name}-{called}"] = walk(value, depth - 1)
        reference = items.get("$ref")
        if isinstance(reference, str):
            parts = reference.split("/")
            if len(parts) != 3 or parts[0] != "#" or parts[1] not in ("$defs", "definitions"):
                raise UnusableSchema("only references to `#/$defs/NAME` are followed")
            return {"$ref": f"#/$defs/{name}-{parts[2]}"}
        return copy

    walked = walk(schema, _DEPTH)
    return {**cast("Schema", walked), "$defs": renamed} if renamed else cast("Schema", walked)


def _plain(schema: object, depth: int) -> object:
    """What of a schema the converter can hold to."""
    if depth == 0:
        raise UnusableSchema("the schema is nested too deep")
    if not isinstance(schema, dict):
        return dict(_ANYTHING)
    of = dict(cast("dict[str, Any]", schema))
    definitions = of.pop("$defs", None)
    plain = _kept(of, depth)
    if definitions:
        plain["$defs"] = {name: _plain(one, depth - 1) for name, one in definitions.items()}
    return plain


def _kept(of: dict[str, Any], depth: int) -> dict[str, Any]:
    if "$ref" in of:
        return {"$ref": of["$ref"]}
    if isinstance(of.get("allOf"), list) and len(of["allOf"]) == 1 and isinstance(of["allOf"][0], dict):
        of = {**of["allOf"][0], **{key: value for key, value in of.items() if key != "allOf"}}
        return _kept(of, depth - 1) if depth > 1 else dict(_ANYTHING)
    for key in ("anyOf", "oneOf"):
        if isinstance(of.get(key), list) and of[key] and "properties" not in of:
            return {"anyOf": [_plain(one, depth - 1) for one in of[key]]}
    kind = of.get("type")
    if isinstance(kind, list):
        return {"anyOf": [_plain({**of, "type": one}, depth - 1) for one in cast("list[object]", kind)]}
    plain: dict[str, Any] = {"type": kind} if isinstance(kind, str) else {}
    for key in (*_TYPED, "required", "allOf"):
        if key in of:
            plain[key] = of[key]
    for key in _LIMITS:
        if isinstance(of.get(key), int) and of[key] <= _LONGEST:
            plain[key] = of[key]
    return _inner(plain, depth)


def _inner(plain: dict[str, Any], depth: int) -> dict[str, Any]:
    if isinstance(plain.get("properties"), dict):
        plain["properties"] = {name: _plain(one, depth - 1) for name, one in plain["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(plain.get(key), dict):
            plain[key] = _plain(plain[key], depth - 1)
    if isinstance(plain.get("prefixItems"), list):
        plain["prefixItems"] = [_plain(one, depth - 1) for one in plain["prefixItems"]]
    if isinstance(plain.get("allOf"), list):
        plain["allOf"] = [_plain(one, depth - 1) for one in plain["allOf"]]
    if not plain or plain.keys() == {"required"}:
        return dict(_ANYTHING)
    return plain
