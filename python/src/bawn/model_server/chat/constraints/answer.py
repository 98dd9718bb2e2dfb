"""The grammar of a whole answer: what it must or must not hold, by the request."""

from bawn.contracts.errors import InvalidRequest
from bawn.contracts.openai import JsonSchema, ResponseFormat
from bawn.model_server.chat.constraints.calls import CallForm, call_form
from bawn.model_server.chat.constraints.rules import Rules, literal
from bawn.model_server.chat.constraints.schemas import UnusableSchema, schema_rules
from bawn.model_server.chat.dialects import Dialect
from bawn.model_server.chat.parts import Schema
from bawn.model_server.chat.tools import Tools


def answer_schema(form: ResponseFormat | None) -> Schema | None:
    """The schema that `response_format` asks for; None: text.

    Raises:
        InvalidRequest: a format that there is not, or one without its schema.
    """
    match form:
        case None | ResponseFormat(type="text"):
            return None
        case ResponseFormat(type="json_object"):
            return form.schema or {"type": "object"}
        case ResponseFormat(type="json_schema", json_schema=JsonSchema(schema=dict(schema))):
            return schema
        case ResponseFormat(type="json_schema"):
            raise InvalidRequest("`json_schema` has no `schema`.", param="response_format.json_schema.schema")
        case _:
            raise InvalidRequest(
                "`response_format` is of type text, json_object or json_schema.", param="response_format.type"
            )


def grammar_of(dialect: Dialect, tools: Tools, schema: Schema | None, *, reasoning: bool) -> str | None:
    """The grammar that holds an answer to the request, or None where anything goes.

    With `tool_choice: auto` text is free up to the mark of a call, and only from there on it is held to the tool's
    form and schema. Reasoning is always free.

    Args:
        dialect: the model's.
        tools: with the request's choice.
        schema: of the answer, from `response_format`.
        reasoning: the prompt ends inside the marks of reasoning.

    Raises:
        InvalidRequest: the schema of `response_format` can't be held to.
    """
    rules = Rules()
    names = tools.callable_names
    form = (
        call_form(rules, dialect, {name: tools.schemas[name] for name in names}, parallel=tools.parallel)
        if names
        else None
    )
    if schema is None and tools.choice != "required":
        return _free(rules, dialect, tools, form)
    wanted: list[str] = []
    if form is not None:
        more = rules.add(f'"\\n"? {literal(form.mark)} {form.rest}')
        wanted.append(f"{literal(form.mark)} {form.rest}" + (f" {more}*" if _repeats(dialect, tools) else ""))
    if schema is not None:
        wanted.append(_json(rules, schema))
    _after_reasoning(rules, dialect, rules.add(" | ".join(wanted)), reasoning=reasoning)
    return rules.text()


def _repeats(dialect: Dialect, tools: Tools) -> bool:
    return tools.parallel and dialect.name != "llama3" and not dialect.listed_calls


def _free(rules: Rules, dialect: Dialect, tools: Tools, form: CallForm | None) -> str | None:
    if form is None:
        marks = {call.opening for call in dialect.calls if not call.first} if tools.schemas else set[str]()
        if not marks:
            return None
        rules.add(rules.free_text(dict.fromkeys(marks), may_end=True), "root")
        return rules.text()
    if dialect.name == "llama3":
        return _bare(rules, form)
    then = rules.add("")
    start = rules.free_text({form.mark: then}, may_end=True)
    rules.add(f"{form.rest} {start if tools.parallel else ''}", then)
    rules.add(start, "root")
    return rules.text()


def _bare(rules: Rules, form: CallForm) -> str:
    """Calls without a mark are calls only at the beginning."""
    anything = rules.add("[\\U00000000-\\U0010FFFF]*")
    ways = [f"{literal(form.mark)} {form.rest}", '""']
    for size, char in enumerate(form.mark):
        before = form.mark[:size]
        other = f"[^\\U{ord(char):08X}]"
        ways.append(f"{literal(before)} {other} {anything}" if before else f"{other} {anything}")
        if before:
            ways.append(literal(before))
    rules.add(" | ".join(ways), "root")
    return rules.text()


def _json(rules: Rules, schema: Schema) -> str:
    try:
        names, text = schema_rules([schema], "answer")
    except UnusableSchema as error:
        raise InvalidRequest(
            f"The schema can't be held to: {error}. Simplify it, or ask for `json_object`.", param="response_format"
        ) from error
    rules.take(text)
    return names[0]


def _after_reasoning(rules: Rules, dialect: Dialect, wanted: str, *, reasoning: bool) -> None:
    thinking = dialect.thinking
    if thinking is None:
        rules.add(wanted, "root")
        return
    space = rules.add('"\\n"? "\\n"?')
    then = rules.add(f"{space} {wanted}")
    thoughts = rules.free_text({thinking.closing: then}, may_end=False)
    rules.add(thoughts if reasoning else f"{wanted} | {literal(thinking.opening)} {thoughts}", "root")
