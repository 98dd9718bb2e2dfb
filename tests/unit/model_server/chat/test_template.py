import jinja2
import pytest

from bawn.contracts.errors import InvalidRequest
from bawn.contracts.openai import FunctionCall, Message, ToolCall
from bawn.model_server.chat.messages import for_template
from bawn.model_server.chat.template import ChatTemplate
from support.tiny_gguf import CHATML

USER = [{"role": "user", "content": "hi"}]


def render(source: str, messages: list[dict[str, object]] | None = None, **given: object) -> str:
    return ChatTemplate(source, bos="<s>", eos="</s>").render(messages or USER, **given)  # type: ignore[arg-type]


def test_chatml_comes_out_as_models_were_trained_on_it() -> None:
    messages = [{"role": "system", "content": "Be brief."}, *USER]
    assert render(CHATML, messages) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_template_has_what_hugging_face_gives_it() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m | tojson }}"
        "{% endfor %}"
        "{{ tools | tojson }}{{ strftime_now('%Y') | length }}{{ enable_thinking }}{{ eos_token }}"
    )
    tools = [{"type": "function", "function": {"name": "größe", "description": "<a> & 'b'"}}]
    assert render(source, [*USER, *USER], tools=tools, extra={"enable_thinking": False}) == (
        '<s>{"role": "user", "content": "hi"}'
        '[{"type": "function", "function": {"name": "größe", "description": "<a> & \'b\'"}}]4False</s>'
    )


def test_what_the_template_raises_is_the_clients_error() -> None:
    with pytest.raises(InvalidRequest, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception.__globals__.items() }}",
        "{% for x in range(10000000) %}{% endfor %}",
    ],
)
def test_a_template_reaches_nothing_outside_its_input(source: str) -> None:
    with pytest.raises(InvalidRequest, match="can't render"):
        render(source)


def test_a_template_that_is_not_jinja_is_refused_when_it_is_compiled() -> None:
    with pytest.raises(jinja2.TemplateSyntaxError):
        ChatTemplate("{% for %}", bos="", eos="")


def test_text_parts_are_joined_and_developer_is_system() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [Message("developer", parts), Message("assistant", None)]
    assert for_template(messages) == [{"role": "system", "content": "a\nb"}, {"role": "assistant", "content": ""}]


def test_tool_calls_and_results_reach_the_template_with_their_arguments_as_objects() -> None:
    call = ToolCall("call_1", "function", FunctionCall("search_code", '{"query": "slot"}'))
    broken = ToolCall("call_2", "function", FunctionCall("x", "not json"))
    messages = [Message("assistant", None, tool_calls=[call, broken]), Message("tool", "found", tool_call_id="call_1")]
    plain = for_template(messages)
    assert plain[0]["tool_calls"][0]["function"] == {"name": "search_code", "arguments": {"query": "slot"}}
    assert plain[0]["tool_calls"][1]["function"]["arguments"] == {"text": "not json"}
    assert plain[1] == {"role": "tool", "content": "found", "tool_call_id": "call_1"}


def test_a_part_that_is_no_text_is_refused_by_its_place() -> None:
    with pytest.raises(InvalidRequest) as refused:
        for_template([Message("user", [{"type": "image_url", "image_url": {"url": "x"}}])])
    assert refused.value.param == "messages[0].content[0]"
