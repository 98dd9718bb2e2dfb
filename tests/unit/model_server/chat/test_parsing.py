"""Answers in every dialect, cut anywhere: calls are calls, reasoning is reasoning, and nothing of either is text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.model_server.chat.calls.reader import MALFORMED
from bawn.model_server.chat.dialects import Dialect, dialect_of
from bawn.model_server.chat.tools import Tools
from support.answers import READ_FILE, Parsed, cut, offered, parse

QWEN_XML = dialect_of("<tool_call>\n<function=f>\n<think></think>")
HERMES = dialect_of('<tool_call>{"name": "", "arguments": {}}</tool_call> <think>')
MISTRAL = dialect_of("[TOOL_CALLS] [ARGS] [THINK]")
MISTRAL_LIST = dialect_of("[TOOL_CALLS]")
GEMMA = dialect_of("<|tool_call>call: <|channel>thought\n")
LLAMA = dialect_of('<|start_header_id|> tool_calls {"name": "", "parameters": }')
GENERIC = dialect_of("no tools at all")
DIALECTS = {
    "qwen-xml": QWEN_XML,
    "hermes": HERMES,
    "mistral": MISTRAL,
    "gemma": GEMMA,
    "llama3": LLAMA,
    "generic": GENERIC,
}

XML = "<tool_call>\n<function=read_file>\n<parameter=path>\na.py\n</parameter>\n</function>\n</tool_call>"
JSON = '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}\n</tool_call>'
ONE_CALL = {
    "qwen-xml": XML,
    "hermes": JSON,
    "generic": JSON,
    "mistral": '[TOOL_CALLS]read_file[ARGS]{"path": "a.py"}',
    "gemma": '<|tool_call>call:read_file{path:<|"|>a.py<|"|>}<tool_call|>',
    "llama3": '{"name": "read_file", "parameters": {"path": "a.py"}}',
}
TWO_CALLS = {name: f"{call}\n{call}" for name, call in ONE_CALL.items() if name != "llama3"} | {
    "mistral": ONE_CALL["mistral"] * 2
}


def everywhere(dialect: Dialect, text: str, **given: Any) -> Parsed:
    """The answer, which is the same in one piece, in single characters, and cut at each place."""
    whole = parse(dialect, [text], **given)
    assert parse(dialect, list(text), **given) == whole
    for at in range(1, len(text)):
        assert parse(dialect, cut(text, [at]), **given) == whole, f"cut before {text[at:]!r}"
    return whole


@pytest.mark.parametrize("name", DIALECTS)
def test_where_no_tool_may_be_called_nothing_is_a_call(name: str) -> None:
    """Marks can't come then, since the grammar refuses them; calls without one are text like any other."""
    parsed = everywhere(DIALECTS[name], ONE_CALL["llama3"], tools=offered("none"))
    assert parsed.calls == []
    assert parsed.text == ONE_CALL["llama3"]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_call_is_no_text(name: str) -> None:
    assert DIALECTS[name].name == name
    parsed = everywhere(DIALECTS[name], ONE_CALL[name])
    ((called, arguments),) = parsed.calls
    assert (called, json.loads(arguments)) == ("read_file", {"path": "a.py"})
    assert (parsed.text, parsed.reasoning) == ("", "")


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "llama3"])
def test_text_before_a_call_is_kept_without_the_space_between(name: str) -> None:
    parsed = everywhere(DIALECTS[name], f"I'll look.\n\n{ONE_CALL[name]}\n")
    assert parsed.text == "I'll look."
    assert len(parsed.calls) == 1


@pytest.mark.parametrize("name", TWO_CALLS)
def test_several_calls_are_several(name: str) -> None:
    parsed = everywhere(DIALECTS[name], TWO_CALLS[name])
    assert [(called, json.loads(arguments)) for called, arguments in parsed.calls] == [
        ("read_file", {"path": "a.py"})
    ] * 2
    assert parsed.text == ""


@pytest.mark.parametrize("name", ["qwen-xml", "hermes", "mistral", "gemma"])
def test_reasoning_is_split_off_and_a_call_after_it_is_a_call(name: str) -> None:
    thinking = DIALECTS[name].thinking
    assert thinking is not None
    text = f"{thinking.opening}\nWhere is it?\n\nIn a.py.\n{thinking.closing}\n\nHere:\n{ONE_CALL[name]}"
    parsed = everywhere(DIALECTS[name], text)
    assert parsed.reasoning == "Where is it?\n\nIn a.py."
    assert parsed.text == "Here:"
    assert len(parsed.calls) == 1
    # A prompt that has begun the reasoning leaves the mark out of the answer.
    assert parse(DIALECTS[name], [text.removeprefix(thinking.opening)], reasoning=True) == parsed


@pytest.mark.parametrize("name", ["qwen-xml", "hermes", "mistral", "gemma"])
def test_a_call_inside_reasoning_is_a_call(name: str) -> None:
    """Qwen3.5 and 3.6 forget to end the reasoning: llama.cpp leaks the call as text (#20260, #22878)."""
    parsed = everywhere(DIALECTS[name], f"I must look.\n{ONE_CALL[name]}", reasoning=True)
    assert parsed.reasoning == "I must look."
    assert len(parsed.calls) == 1
    assert parsed.text == ""


@pytest.mark.parametrize("name", DIALECTS)
def test_a_call_that_is_cut_off_leaves_no_text_and_no_call_that_was_not_there(name: str) -> None:
    text = ONE_CALL[name]
    for end in range(len(text)):
        parsed = parse(DIALECTS[name], [text[:end]])
        assert len(parsed.calls) <= 1
        # Less than a mark may be the beginning of something else.
        leaked = parsed.text.strip()
        assert len(leaked) < 5 or name == "llama3", (text[:end], parsed)
        for called, arguments in parsed.calls:
            assert called == "read_file"
            assert '{"path":"a.py"}'.startswith(arguments.replace(" ", "")), arguments


def test_without_tools_nothing_is_a_call() -> None:
    for name, dialect in DIALECTS.items():
        assert everywhere(dialect, f"Write {ONE_CALL[name]} so.", tools=Tools()).text == f"Write {ONE_CALL[name]} so."


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (HERMES, "Put <tool_call> around it, and </tool_call> after it."),
        (QWEN_XML, "The tag <tool_call> is followed by <function=…>."),
        (QWEN_XML, "It ends with </think>, as said."),
        (GENERIC, 'An object: {"name": "x"}.'),
        (LLAMA, '{"name": "Bob", "age": 7}'),
        (LLAMA, '{"answer": {"name": "read_file"}}'),
        (LLAMA, '{"name": "read_'),
        (LLAMA, 'Text, then {"name": "read_file", "parameters": {}}'),
        (MISTRAL, "[TOO"),
        (GEMMA, "a < b, a <| b"),
        (HERMES, "trailing space \n"),
        (HERMES, "  leading"),
    ],
)
def test_text_that_speaks_of_marks_or_looks_like_a_call_stays_text(dialect: Dialect, text: str) -> None:
    parsed = everywhere(dialect, text)
    assert (parsed.text, parsed.calls) == (text, [])


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        # White space where it does not belong, and where it is missing.
        ("<tool_call><function=read_file><parameter=path>a.py</parameter></function></tool_call>", {"path": "a.py"}),
        (
            "<tool_call>\n\n <function=read_file>\n\n<parameter=path>\na.py\n</parameter>\n\n</function> </tool_call>",
            {"path": "a.py"},
        ),
        # Tags that are forgotten.
        ("<function=read_file>\n<parameter=path>\na.py\n</parameter>\n</function>", {"path": "a.py"}),
        ("<tool_call>\n<function=read_file>\n<parameter=path>\na.py\n</function>\n</tool_call>", {"path": "a.py"}),
        (
            "<tool_call>\n<function=read_file>\n<parameter=path>\na.py\n<parameter=line>\n3\n</parameter>\n</function>\n"
            "</tool_call>",
            {"path": "a.py", "line": 3},
        ),
        ("<tool_call>\n<function=read_file>\n<parameter=path>\na.py\n</parameter>\n</tool_call>", {"path": "a.py"}),
        # JSON where XML was asked for.
        (JSON, {"path": "a.py"}),
        # No parameters at all.
        ("<tool_call>\n<function=read_file>\n</function>\n</tool_call>", {}),
    ],
)
def test_sloppy_xml_is_read_as_it_was_meant(text: str, arguments: dict[str, Any]) -> None:
    parsed = everywhere(QWEN_XML, text)
    assert [(called, json.loads(json_text)) for called, json_text in parsed.calls] == [("read_file", arguments)]
    assert parsed.text == ""


@pytest.mark.parametrize(
    ("parameter", "written", "value"),
    [
        ("path", "a\n\nb\n", "a\n\nb\n"),
        ("path", "", ""),
        ("path", "\n", "\n"),
        ("path", '"quoted" \\n ü€', '"quoted" \\n ü€'),
        ("path", "x </parameter> y", "x </parameter> y"),
        ("path", "x\n</parameter>\ny", "x\n</parameter>\ny"),
        ("path", "<parameter=other>", "<parameter=other>"),
        ("path", "12", "12"),
        ("path", "true", "true"),
        ("undeclared", "12", "12"),
        ("line", "12", 12),
        ("line", " 12 ", 12),
        ("line", "twelve", "twelve"),
        ("options", '{"deep": [1, "two", null]}', {"deep": [1, "two", None]}),
        ("options", "{'deep': 1}", "{'deep': 1}"),
        ("limit", "null", None),
        ("limit", "None", None),
        ("limit", "5", 5),
        ("mode", "text", "text"),
    ],
)
def test_what_stands_in_a_parameter_is_its_value_by_the_schema(parameter: str, written: str, value: object) -> None:
    inner = f"<parameter={parameter}>\n{written}\n</parameter>"
    text = f"<tool_call>\n<function=read_file>\n{inner}\n</function>\n</tool_call>"
    properties = {**READ_FILE["function"]["parameters"]["properties"], "limit": {"type": ["integer", "null"]}}
    tool = {"function": {"name": "read_file", "parameters": {"type": "object", "properties": properties}}}
    ((_, arguments),) = everywhere(QWEN_XML, text, tools=offered(tools=[tool])).calls
    assert json.loads(arguments) == {parameter: value}


@pytest.mark.parametrize(
    ("dialect", "text", "name", "arguments"),
    [
        (
            HERMES,
            '<tool_call>{"arguments": {"path": "a"}, "name": "read_file"}</tool_call>',
            "read_file",
            {"path": "a"},
        ),
        (HERMES, '<tool_call>{"name": "read_file"}</tool_call>', "read_file", {}),
        (
            HERMES,
            '<tool_call>{"name": "read_file", "arguments": "{\\"path\\": \\"a\\"}"}</tool_call>',
            "read_file",
            {"path": "a"},
        ),
        (
            HERMES,
            '<tool_call>{"name": "read_file", "arguments": {"path": "a\nb"}}</tool_call>',
            "read_file",
            {"path": "a\nb"},
        ),
        (HERMES, '<tool_call>{"name": "read_file", "arguments": {"path": "a"}</tool_call>', "read_file", {"path": "a"}),
        (
            HERMES,
            '<tool_call>{"name": "read_file", "arguments": {"path": {"x": [1</tool_call>',
            "read_file",
            {"path": {"x": [1]}},
        ),
        (
            HERMES,
            '<tool_call>[{"name": "read_file", "arguments": {"path": "</tool_call>"}}]</tool_call>',
            "read_file",
            {"path": "</tool_call>"},
        ),
        (
            HERMES,
            '<tool_call>{"function": {"name": "read_file", "arguments": {"path": "a"}}}</tool_call>',
            "read_file",
            {"path": "a"},
        ),
        (HERMES, '<tool_call>{"path": "a"}</tool_call>', MALFORMED, {"text": '{"path": "a"}'}),
        (HERMES, XML, "read_file", {"path": "a.py"}),
        (MISTRAL, '[TOOL_CALLS]read_file[CALL_ID]abcdefghi[ARGS]{"path": "a"}', "read_file", {"path": "a"}),
        (MISTRAL, '[TOOL_CALLS] read_file {"path": "a"}', "read_file", {"path": "a"}),
        (
            MISTRAL_LIST,
            '[TOOL_CALLS][{"name": "read_file", "arguments": {"path": "a"}, "id": "abcdefghi"}]',
            "read_file",
            {"path": "a"},
        ),
        (
            MISTRAL_LIST,
            '[TOOL_CALLS] [ {"name": "read_file", "arguments": {"path": "a"}} ]',
            "read_file",
            {"path": "a"},
        ),
        (
            GEMMA,
            '<|tool_call>call:read_file{line:3,options:{a:[1,<|"|>b<|"|>,true],<|"|>c d<|"|>:null}}<tool_call|>',
            "read_file",
            {"line": 3, "options": {"a": [1, "b", True], "c d": None}},
        ),
        (GEMMA, "<|tool_call>call:read_file{}<tool_call|>", "read_file", {}),
        (GEMMA, "<|tool_call>call:read_file{path:a.py}<tool_call|>", "read_file", {"path": "a.py"}),
        (GEMMA, '<|tool_call>call:read_file{path:<|"|>{a:"b"}<|"|>}<tool_call|>', "read_file", {"path": '{a:"b"}'}),
        (LLAMA, '<|python_tag|>{"name": "read_file", "parameters": {"path": "a"}}', "read_file", {"path": "a"}),
        (LLAMA, '<|python_tag|>web.call(query="a b", n=3)', "web", {"query": "a b", "n": 3}),
        (LLAMA, '{"type": "function", "name": "read_file", "parameters": {"path": "a"}}', "read_file", {"path": "a"}),
        (LLAMA, ' \n{"name": "read_file", "parameters": {"path": "a"}}', "read_file", {"path": "a"}),
    ],
)
def test_calls_are_read_in_the_forms_that_models_write(
    dialect: Dialect, text: str, name: str, arguments: dict[str, Any]
) -> None:
    parsed = everywhere(dialect, text)
    assert [(called, json.loads(json_text)) for called, json_text in parsed.calls] == [(name, arguments)]
    assert parsed.text.strip() == ""


def test_arguments_come_while_they_are_written() -> None:
    """A long file that a tool call writes must not be silence for its client."""
    for dialect, text in ((QWEN_XML, XML), (HERMES, JSON), (GEMMA, ONE_CALL["gemma"]), (MISTRAL, ONE_CALL["mistral"])):
        long = text.replace("a.py", "x" * 1000)
        upto = long.index("x") + 600
        ((_, arguments),) = parse(dialect, [long[:upto]]).calls
        assert arguments.count("x") >= 600 - 20


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_", min_size=1), inner, max_size=3),
    max_leaves=6,
)


@given(
    arguments=st.dictionaries(st.sampled_from(["path", "options", "x"]), values, max_size=3),
    before=st.text("ab <{\n", max_size=12),
    places=st.lists(st.integers(1, 400), max_size=8),
)
def test_any_json_arguments_come_back_wherever_the_text_is_cut(
    arguments: dict[str, Any], before: str, places: list[int]
) -> None:
    body = json.dumps({"name": "read_file", "arguments": arguments}, ensure_ascii=False)
    text = f"{before}<tool_call>\n{body}\n</tool_call>"
    parsed = parse(HERMES, cut(text, places))
    ((name, json_text),) = parsed.calls
    assert (name, json.loads(json_text)) == ("read_file", arguments)
    assert parsed.text == before.rstrip()


@given(
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
    places=st.lists(st.integers(1, 200), max_size=8),
)
def test_any_text_in_an_xml_parameter_comes_back_wherever_it_is_cut(value: str, places: list[int]) -> None:
    text = f"<tool_call>\n<function=read_file>\n<parameter=path>\n{value}\n</parameter>\n</function>\n</tool_call>"
    ((_, arguments),) = parse(QWEN_XML, cut(text, places)).calls
    assert json.loads(arguments) == {"path": value}


pieces = st.sampled_from(
    [
        "<tool_call>",
        "</tool_call>",
        "<function=read_file>",
        "</function>",
        "<parameter=path>",
        "</parameter>",
        '{"name": "read_file", "arguments": {',
        "}",
        "<think>",
        "</think>",
        "[TOOL_CALLS]",
        "[ARGS]",
        "read_file",
        "<|tool_call>",
        "call:read_file{",
        '<|"|>',
        "<tool_call|>",
        "<|python_tag|>",
        "\n",
        " ",
        "a",
        "{",
        "[",
        "]",
        '"',
    ]
)


@given(name=st.sampled_from(sorted(DIALECTS)), text=st.lists(pieces, max_size=14).map("".join), reasoning=st.booleans())
def test_any_mix_of_marks_adds_up_to_the_same_in_one_piece_and_in_characters(
    name: str, text: str, reasoning: bool
) -> None:
    dialect = DIALECTS[name]
    whole = parse(dialect, [text], reasoning=reasoning)
    assert parse(dialect, list(text), reasoning=reasoning) == whole


def test_ids_are_what_the_dialect_takes() -> None:
    assert len(MISTRAL.new_id()) == 9
    assert MISTRAL.new_id().isalnum()
    assert HERMES.new_id().startswith("call_")
    assert offered({"type": "function", "function": {"name": "search-code"}}).callable_names == ["search-code"]
