"""The templates and vocabularies of published models: what they teach is what is read, and what a grammar allows."""

import json
from typing import Any, NamedTuple

import msgspec
import pytest

from bawn.contracts.openai import Message
from bawn.model_server.chat.constraints.answer import grammar_of
from bawn.model_server.chat.parts import Schema
from bawn.model_server.chat.prompting import Prompter
from bawn.model_server.chat.tools import Tools
from bawn.model_server.engine.grammar import Grammar
from bawn.model_server.engine.vocabulary import Vocabulary
from support.answers import TOOLS, offered, parse
from support.model_templates import template, vocabulary


class Model(NamedTuple):
    """A published template, the dialect it teaches, and a vocabulary: its own, or one of its family."""

    template: str
    dialect: str
    vocabulary: str
    begins: str
    """What stands where the call begins."""
    ends: tuple[str, ...]
    """What the template writes after the call that is no part of it."""
    grammar: bool = True
    """The vocabulary is near enough for the call's text to be made of its tokens as a model makes it."""


MODELS = [
    Model("Qwen3.5-4B", "qwen-xml", "qwen35", "<tool_call>\n<function=", ("<|im_end|>",)),
    Model("Qwen3-Coder", "qwen-xml", "qwen2", "<tool_call>\n<function=", ("<|im_end|>",)),
    Model("NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "qwen-xml", "qwen2", "<tool_call>\n<function=", ("<|im_end|>",)),
    Model("Qwen-Qwen2.5-7B-Instruct", "hermes", "qwen2", '<tool_call>\n{"name": "', ("<|im_end|>",)),
    Model("Qwen-Qwen3-0.6B", "hermes", "qwen2", '<tool_call>\n{"name": "', ("<|im_end|>",)),
    Model("Qwen-QwQ-32B", "hermes", "qwen2", '<tool_call>\n{"name": "', ("<|im_end|>",)),
    Model(
        "NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes", "llama-bpe", '<tool_call>\n{"name": "', ("<|im_end|>",)
    ),
    Model("mistralai-Mistral-Nemo-Instruct-2407", "mistral", "llama-spm", "[TOOL_CALLS][", ("</s>",), grammar=False),
    Model("Mistral-Small-3.2-24B-Instruct-2506", "mistral", "gpt-2", "[TOOL_CALLS]", ("</s>",)),
    Model("mistralai-Ministral-3-14B-Reasoning-2512", "mistral", "gpt-2", "[TOOL_CALLS]", ("</s>",)),
    Model("google-gemma-4-31B-it", "gemma", "gemma-4", "<|tool_call>call:", ("<|tool_response>", "<turn|>")),
    Model("meta-llama-Llama-3.1-8B-Instruct", "llama3", "llama-bpe", '{"name": "read_file", "param', ("<|eot_id|>",)),
    Model("meta-llama-Llama-3.2-3B-Instruct", "llama3", "llama-bpe", '{"name": "read_file", "param', ("<|eot_id|>",)),
    Model("google-gemma-2-2b-it", "generic", "gemma-4", '<tool_call>\n{"name": "', ("<end_of_turn>",)),
    Model(
        "microsoft-Phi-3.5-mini-instruct", "generic", "phi-3", '<tool_call>\n{"name": "', ("<|end|>",), grammar=False
    ),
]
ARGUMENTS: dict[str, Any] = {
    "path": 'src/größe.py\nx "q" </parameter> {',
    "line": 3,
    "options": {"deep": [1, "two", True]},
    "mode": "text",
}

each = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.template)


def prompter(model: Model) -> Prompter:
    return Prompter(template(model.template), bos="<s>", eos="</s>")


def messages(*given: dict[str, Any]) -> list[Message]:
    return msgspec.convert([{"role": "user", "content": "Read it."}, *given], list[Message])


def written_call(model: Model) -> str:
    """The call of `read_file` as the model's template writes it."""
    function = {"name": "read_file", "arguments": json.dumps(ARGUMENTS)}
    said = {"role": "assistant", "content": "", "tool_calls": [{"id": "call_17", "function": function}]}
    text = prompter(model).prompt(messages(said), TOOLS).text
    text = text[text.rindex(model.begins) :]
    for end in model.ends:
        text = text.split(end)[0]
    return text.rstrip("\n")


@each
def test_the_dialect_is_told_from_the_template(model: Model) -> None:
    assert prompter(model).dialect.name == model.dialect


@each
def test_a_call_as_the_template_writes_it_is_read_back_token_by_token(model: Model) -> None:
    dialect, tokenizer = prompter(model).dialect, vocabulary(model.vocabulary)
    shown = tokenizer.control_tokens(dialect.marks)
    tokens = tokenizer.tokens(written_call(model), special=True, begin=False)
    text = b"".join(tokenizer.piece(token, shown=token in shown) for token in tokens).decode()
    parsed = parse(dialect, list(text))
    ((name, arguments),) = parsed.calls
    assert (name, json.loads(arguments)) == ("read_file", ARGUMENTS)
    assert parsed.text.strip() == ""


@each
def test_the_template_shows_the_tools_all_messages_and_the_calls_result(model: Model) -> None:
    call = {"id": "call_17", "function": {"name": "read_file", "arguments": '{"path": "a-path"}'}}
    text = (
        prompter(model)
        .prompt(
            messages(
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_17", "content": "the-result"},
                {"role": "assistant", "content": "an-answer"},
                {"role": "system", "content": "a-late-system-message"},
                {"role": "user", "content": "the-question"},
            ),
            TOOLS,
        )
        .text
    )
    shown = ["read_file", "a-path", "the-result", "an-answer", "a-late-system-message", "the-question", "search-code"]
    assert [word for word in shown if word not in text] == []


def follows(tokenizer: Vocabulary, grammar: str | None, text: str) -> str:
    """What the grammar says to `text`: "whole", "unfinished", or the token that it refuses."""
    assert grammar is not None
    state = Grammar(grammar, tokenizer)
    for token in tokenizer.tokens(text, special=True, begin=False):
        if not state.allows(token):
            return tokenizer.piece(token, shown=True).decode("utf-8", "replace")
        state.accept(token)
    return "whole" if any(state.allows(token) for token in tokenizer.end_tokens) else "unfinished"


def answers(model: Model, text: str, tools: Tools, *, schema: Schema | None = None, reasoning: bool = False) -> str:
    grammar = grammar_of(prompter(model).dialect, tools, schema, reasoning=reasoning)
    return follows(vocabulary(model.vocabulary), grammar, text)


with_grammar = pytest.mark.parametrize("model", [one for one in MODELS if one.grammar], ids=lambda one: one.template)


@with_grammar
def test_the_grammar_allows_a_call_as_the_template_writes_it(model: Model) -> None:
    call = written_call(model)
    bare = model.dialect == "llama3"  # a call without a mark is one only where the answer begins
    assert answers(model, call if bare else f"I'll look.\n{call}", offered()) == "whole"
    assert answers(model, call, offered("required")) == "whole"
    named = {"type": "function", "function": {"name": "read_file"}}
    assert answers(model, call, offered(named)) == "whole"


@with_grammar
def test_the_grammar_refuses_what_is_not_asked_for(model: Model) -> None:
    call = written_call(model)
    other = {"type": "function", "function": {"name": "search-code"}}
    assert answers(model, call, offered(other)) not in ("whole", "unfinished")
    assert answers(model, call.replace("read_file", "rm_file"), offered()) not in ("whole", "unfinished")
    assert answers(model, call[: len(call) // 2], offered("required")) == "unfinished"
    assert answers(model, "No.", offered("required")) not in ("whole", "unfinished")
    assert answers(model, call.replace("3", '"x"', 1), offered()) not in ("whole", "unfinished")  # no integer
    assert answers(model, "Just text, with a < and a { in it.", offered()) == "whole"
    # A call without a mark is text where none may be made.
    forbidden = () if model.dialect == "llama3" else ("whole", "unfinished")
    assert answers(model, call, offered("none")) not in forbidden
    assert answers(model, "Just text.", offered("none")) == "whole"


@with_grammar
def test_an_answer_is_held_to_a_json_schema_and_reasoning_before_it_is_free(model: Model) -> None:
    schema: Schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert answers(model, '{"n": 3}', Tools(), schema=schema) == "whole"
    assert answers(model, '{"n": "x"}', Tools(), schema=schema) not in ("whole", "unfinished")
    assert answers(model, "Here: {", Tools(), schema=schema) not in ("whole", "unfinished")
    thinking = prompter(model).dialect.thinking
    if thinking is not None:
        thought = f'It is {{"n": "x"}}.\n{thinking.closing}\n\n{{"n": 3}}'
        assert answers(model, thought, Tools(), schema=schema, reasoning=True) == "whole"
        assert answers(model, thinking.opening + thought, Tools(), schema=schema) == "whole"
        assert answers(model, "It is", Tools(), schema=schema, reasoning=True) == "unfinished"


def test_a_template_that_refuses_the_order_of_messages_gets_them_in_one_it_takes() -> None:
    strict = next(model for model in MODELS if model.template == "google-gemma-2-2b-it")
    text = (
        prompter(strict)
        .prompt(
            msgspec.convert(
                [
                    {"role": "system", "content": "be-brief"},
                    {"role": "user", "content": "one"},
                    {"role": "user", "content": "two"},
                    {"role": "system", "content": "later"},
                ],
                list[Message],
            )
        )
        .text
    )
    assert text == "<s><start_of_turn>user\nbe-brief\n\none\n\ntwo\n\nlater<end_of_turn>\n<start_of_turn>model\n"


def test_a_prompt_that_begins_the_reasoning_is_told_from_one_that_does_not() -> None:
    qwen = Prompter(template("Qwen3.5-4B"), bos="", eos="")
    assert qwen.prompt(messages()).reasoning
    assert not qwen.prompt(messages(), extra={"enable_thinking": False}).reasoning
