"""Scripts for an upstream that stands in for a model that can call tools."""

import json
from collections.abc import Iterator

from support.scripted_upstream import Handler, Received, Reply, chat_steps, tool_call_steps


def tools(request: Received) -> list[str]:
    """Names of the tools that a chat request offers."""
    return [tool["function"]["name"] for tool in request.json.get("tools", [])]


def results(request: Received) -> Iterator[str]:
    """Tool results that a chat request carries."""
    for message in request.json["messages"]:
        if message["role"] == "tool":
            content = message["content"]
            yield content if isinstance(content, str) else json.dumps(content)


def searches(query: str, seen: list[str]) -> Handler:
    """An agent that calls `search_code` once, notes what it gets in `seen`, and says that it found it."""

    def agent(request: Received) -> Reply:
        seen.extend(results(request))
        if seen:
            return Reply(steps=chat_steps(["Found it."]))
        search = next((name for name in tools(request) if name.endswith("search_code")), None)
        if search is None:  # the call for a title has no tools
            return Reply(steps=chat_steps(["A title"]))
        return Reply(steps=tool_call_steps(search, {"query": query}))

    return agent
