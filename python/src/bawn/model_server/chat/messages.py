"""Messages of the OpenAI dialect as chat templates expect them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from bawn.contracts.errors import InvalidRequest
from bawn.contracts.openai import Message, ToolCall


def for_template(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Plain dictionaries whose content is text and whose tool arguments are objects.

    Raises:
        InvalidRequest: no messages, or a content part that is not text.
    """
    if not messages:
        raise InvalidRequest("There are no messages.", param="messages")
    return [_plain(message, f"messages[{index}]") for index, message in enumerate(messages)]


def _plain(message: Message, where: str) -> dict[str, Any]:
    # "developer" is OpenAI's newer name for what templates know as "system".
    plain: dict[str, Any] = {
        "role": "system" if message.role == "developer" else message.role,
        "content": _text(message.content, where),
    }
    if message.name is not None:
        plain["name"] = message.name
    if message.reasoning_content is not None:
        plain["reasoning_content"] = message.reasoning_content
    if message.tool_call_id is not None:
        plain["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        plain["tool_calls"] = [_call(call) for call in message.tool_calls]
    return plain


def _text(content: str | list[dict[str, Any]] | None, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts: list[str] = []
    for index, part in enumerate(content):
        text = part.get("text")
        if part.get("type") != "text" or not isinstance(text, str):
            raise InvalidRequest("This model takes text only.", param=f"{where}.content[{index}]")
        texts.append(text)
    return "\n".join(texts)


def _call(call: ToolCall) -> dict[str, Any]:
    # Templates write arguments with `tojson`, or go through their keys: text would be quoted twice, or refused for as
    # long as it is in the conversation.
    arguments: Any = call.function.arguments
    try:
        decoded = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        decoded = None
    arguments = decoded if isinstance(decoded, dict) else {"text": arguments}
    return {"id": call.id, "type": call.type, "function": {"name": call.function.name, "arguments": arguments}}
