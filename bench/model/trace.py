"""What a coding agent sends: the same growing conversation again and again, with a tool's result more each time.

It has the shape of OpenCode's requests: a long system prompt, ten tools, then task, call, result, call, result, … The
answers in it are written beforehand, so that every server is sent the same; so it looks to a server, too, when a client
leaves the reasoning out of the history. All of it follows from a seed.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

Message = dict[str, Any]
Measure = Callable[[str], int]
"""Tokens of a text."""

MESSAGE_TOKENS: Final = 6
"""What a chat template puts around a message."""

_NOUNS: Final = [
    "lease",
    "chunk",
    "slot",
    "prefill",
    "grant",
    "upstream",
    "session",
    "token",
    "batch",
    "cache",
    "window",
    "border",
    "budget",
    "cursor",
    "digest",
    "draft",
    "edge",
    "entry",
    "event",
    "fleet",
    "frame",
    "gate",
    "header",
    "index",
    "journal",
    "kernel",
    "ledger",
    "message",
    "node",
    "offset",
    "packet",
    "queue",
    "record",
    "relay",
    "request",
    "route",
    "sample",
    "schema",
    "segment",
    "shard",
    "signal",
    "socket",
    "span",
    "state",
    "stream",
    "table",
    "ticket",
    "tree",
    "user",
    "vector",
    "worker",
]
_VERBS: Final = [
    "admit",
    "bind",
    "build",
    "check",
    "close",
    "collect",
    "commit",
    "copy",
    "count",
    "cut",
    "decode",
    "drop",
    "encode",
    "fetch",
    "find",
    "flush",
    "format",
    "join",
    "keep",
    "load",
    "lock",
    "match",
    "merge",
    "open",
    "parse",
    "place",
    "push",
    "read",
    "release",
    "render",
    "reset",
    "resume",
    "route",
    "save",
    "scan",
    "send",
    "serve",
    "settle",
    "share",
    "sort",
    "split",
    "start",
    "stop",
    "store",
    "trim",
    "update",
    "wait",
    "walk",
    "watch",
    "write",
]


class Trace(msgspec.Struct, frozen=True):
    """One session."""

    tools: list[dict[str, Any]]
    turns: list[list[Message]]
    """The messages of each request; each begins with those of the one before."""

    def edited(self, share: float, rng: random.Random) -> list[Message]:
        """The last request with one message changed, that which lies at `share` of the way."""
        messages = [dict(message) for message in self.turns[-1]]
        results = [at for at, message in enumerate(messages) if message["role"] == "tool"]
        at = results[round(share * (len(results) - 1))]
        lines = str(messages[at]["content"]).splitlines()
        lines[len(lines) // 2] = f"    {_statement(rng)}"
        messages[at]["content"] = "\n".join(lines)
        return messages


def trace(seed: int, measure: Measure, *, turns: int, first: int, last: int, system_seed: int | None = None) -> Trace:
    """A session of `turns` requests that grow from `first` to `last` tokens.

    Args:
        seed: of everything.
        measure: counts tokens, all but a template's.
        turns: requests; at least two.
        first: tokens of the first request, tools and system prompt included; what these need at least is some 1,500.
        last: tokens of the last.
        system_seed: sessions that share it share system prompt and tools, as those of one team do.
    """
    rng = random.Random(seed)
    shared = random.Random(seed if system_seed is None else system_seed)
    tools = _tools()
    used = measure(json.dumps(tools)) + 2 * MESSAGE_TOKENS
    task = f"{_prose(rng)} Read what is there before you change it, and keep to the style of the code."
    used += measure(task)
    system = _grown("You are a coding agent in a terminal.\n", lambda: _prose(shared), first - used, measure)
    used += measure(system)
    messages: list[Message] = [{"role": "system", "content": system}, {"role": "user", "content": task}]
    requests = [list(messages)]
    for turn in range(1, turns):
        wanted = first + (last - first) * turn // (turns - 1)
        call = _call(rng, f"call_{seed}_{turn}")
        used += measure(str(call["tool_calls"][0]["function"])) + 2 * MESSAGE_TOKENS
        code = _grown("", lambda: _function(rng), wanted - used, measure)
        used += measure(code)
        messages += [call, {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": code}]
        requests.append(list(messages))
    return Trace(tools, requests)


def code(seed: int, tokens: int, measure: Measure) -> str:
    """Python of about so many tokens; another seed shares no beginning with it."""
    rng = random.Random(seed)
    return _grown(f'"""{_prose(rng)}"""\n', lambda: _function(rng), tokens, measure)


def _grown(text: str, more: Callable[[], str], tokens: int, measure: Measure) -> str:
    """`text` with as much more as makes it about so many tokens, and at least once."""
    parts = [text, more()]
    used = sum(measure(part) for part in parts)
    while used < tokens:
        parts.append(more())
        used += measure(parts[-1])
    return "\n".join(part for part in parts if part)


def _name(rng: random.Random) -> str:
    return f"{rng.choice(_VERBS)}_{rng.choice(_NOUNS)}"


def _statement(rng: random.Random) -> str:
    one, other = rng.sample(_NOUNS, 2)
    forms: Sequence[str] = (
        f"{one} = self._{other}.{rng.choice(_VERBS)}({rng.randrange(4096)})",
        f"if {one} is None or len({other}) > {rng.randrange(256)}: return {other}",
        f"{one}.{_name(rng)}({other}, limit={rng.randrange(1024)})",
        f"for {one} in self.{_name(rng)}({other}): {one}.{rng.choice(_VERBS)}()",
    )
    return rng.choice(forms)


def _function(rng: random.Random) -> str:
    noun = rng.choice(_NOUNS)
    lines = [f"def {_name(rng)}(self, {noun}: {noun.title()}) -> {rng.choice(_NOUNS).title()}:"]
    lines += [f"    {_statement(rng)}" for _ in range(rng.randrange(2, 5))]
    return "\n".join([*lines, f"    return {noun}", ""])


def _prose(rng: random.Random) -> str:
    one, other, third = rng.sample(_NOUNS, 3)
    return f"When you {rng.choice(_VERBS)} a {one}, {rng.choice(_VERBS)} the {other} of its {third} first."


def _call(rng: random.Random, identity: str) -> Message:
    arguments = json.dumps({"filePath": f"src/{rng.choice(_NOUNS)}/{_name(rng)}.py", "offset": rng.randrange(500)})
    function = {"name": "read", "arguments": arguments}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": identity, "type": "function", "function": function}],
    }


_TOOLS: Final = {
    "read": ("Reads a file.", ["filePath", "offset", "limit"]),
    "write": ("Writes a file, over what is there.", ["filePath", "content"]),
    "edit": ("Replaces one text of a file by another.", ["filePath", "oldString", "newString"]),
    "bash": ("Runs a command in a shell that lasts.", ["command", "timeout", "description"]),
    "glob": ("Finds files by a pattern of their names.", ["pattern", "path"]),
    "grep": ("Finds lines by a regular expression.", ["pattern", "path", "include"]),
    "list": ("Lists a folder.", ["path", "ignore"]),
    "todowrite": ("Writes the list of what is to be done.", ["todos"]),
    "todoread": ("Reads the list of what is to be done.", ["reason"]),
    "webfetch": ("Fetches a page.", ["url", "format"]),
}


def _tools() -> list[dict[str, Any]]:
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": text,
                "parameters": {
                    "type": "object",
                    "properties": {key: {"type": "string", "description": f"The {key}."} for key in keys},
                    "required": keys[:1],
                },
            },
        }
        for name, (text, keys) in _TOOLS.items()
    ]
