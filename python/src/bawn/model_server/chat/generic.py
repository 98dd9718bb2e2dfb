"""Tools for models whose chat template knows none, or has them in a format that is not read here.

The prompt describes them and the form of a call, which is Hermes'; calls and results of earlier turns are shown in that
form, too.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

_INSTRUCTION: Final = """\
You can call tools. To call one, write a block of this form, with arguments that fit its JSON schema, and then stop:
<tool_call>
{"name": "name of the tool", "arguments": {}}
</tool_call>
Its result comes back in a <tool_response> block. Answer without a tool where none helps. The tools, one a line:
"""


def with_tools(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages as such a template takes them: `tools` described in the system message, calls and results as text.

    Args:
        messages: as `chat.messages.for_template` makes them.
        tools: in the OpenAI dialect; none: only calls and results are put into words.
    """
    plain = [_plain(message) for message in messages]
    if not tools:
        return plain
    told = _INSTRUCTION + "\n".join(json.dumps(tool.get("function", tool), ensure_ascii=False) for tool in tools)
    if plain and plain[0]["role"] == "system":
        first = {**plain[0], "content": f"{plain[0]['content']}\n\n{told}".lstrip()}
        return [first, *plain[1:]]
    return [{"role": "system", "content": told}, *plain]


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"}
    plain = dict(message)
    calls: list[Mapping[str, Any]] = plain.pop("tool_calls", [])
    texts = [plain["content"]] if plain["content"] else []
    for call in calls:
        function = call["function"]
        body = json.dumps({"name": function["name"], "arguments": function["arguments"]}, ensure_ascii=False)
        texts.append(f"<tool_call>\n{body}\n</tool_call>")
    return {**plain, "content": "\n".join(texts)}
