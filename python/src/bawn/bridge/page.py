"""The status page: what the bridge sees, in plain HTML without scripts or secrets."""

import base64
import hashlib
import time
from html import escape
from typing import Final

import msgspec

from bawn import __version__
from bawn.bridge.history import History
from bawn.bridge.settings import BridgeSettings
from bawn.contracts.errors import RequestError
from bawn.contracts.openai import ModelCard

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2522; --soft: #5d6b65; --line: #d9e0dc; --back: #f5f7f5; --card: #fff;
  --good: #16703f; --bad: #b3261e; --code: #eef2ef; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ece8; --soft: #95a49d; --line: #2c3632; --back: #131816;
  --card: #1a211e; --good: #58c98a; --bad: #ff8a80; --code: #232c28; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
header { display: flex; align-items: baseline; gap: .75rem; margin-bottom: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0; letter-spacing: -.01em; }
h2 { font-size: .8rem; margin: 0 0 .75rem; text-transform: uppercase; letter-spacing: .07em; color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.25rem;
  margin-bottom: 1rem; }
.soft { color: var(--soft); }
.state { display: flex; gap: .6rem; align-items: center; font-weight: 600; font-size: 1.1rem; }
.dot { width: .7rem; height: .7rem; border-radius: 50%; background: currentColor; flex: none; }
.good { color: var(--good); } .bad { color: var(--bad); }
p { margin: .35rem 0; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); font-weight: 400; }
tr:first-child td, tr:first-child th { border-top: 0; }
td.n { text-align: right; padding-right: 0; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: .9em ui-monospace, monospace; background: var(--code); border-radius: 5px; padding: .1em .35em;
  overflow-wrap: anywhere; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS: Final = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Response headers: the page runs and loads nothing."""


class PageData(msgspec.Struct):
    """What the page shows. `models` is None where the gateway did not give them, for `problem`."""

    settings: BridgeSettings
    models: list[ModelCard] | None
    problem: RequestError | None
    history: History


def render(data: PageData, *, now: float | None = None) -> str:
    """The page. Everything that comes from outside is escaped."""
    at = time.time() if now is None else now
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>bawn bridge</title><style>{_STYLE}</style></head><body><main>"
        f'<header><h1>bawn bridge</h1><span class="soft">version {escape(__version__)}</span></header>'
        f"{_gateway(data)}{_models(data)}{_connect(data)}{_errors(data, at)}"
        "</main></body></html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _gateway(data: PageData) -> str:
    if data.problem is None:
        state = '<div class="state good"><span class="dot"></span>Reachable</div>'
    else:
        label = "Refuses this laptop" if data.problem.status == 401 else "Not reachable"
        state = f'<div class="state bad"><span class="dot"></span>{label}</div><p>{escape(data.problem.message)}</p>'
    return _section("Gateway", f"{state}<p><code>{escape(data.settings.gateway_url)}</code></p>")


def _models(data: PageData) -> str:
    if data.models is None:
        return ""
    if not data.models:
        return _section("Models", '<p class="soft">The gateway offers this key no model.</p>')
    rows = "".join(
        f"<tr><td><code>{escape(card.id)}</code>{' <span class=soft>completes code</span>' if card.fim else ''}</td>"
        f'<td class="n soft">{f"{card.context_length:,} tokens" if card.context_length else ""}</td></tr>'
        for card in data.models
    )
    return _section("Models", f"<table>{rows}</table>")


def _connect(data: PageData) -> str:
    base = f"http://127.0.0.1:{data.settings.port}"
    rows = "".join(
        f"<tr><th>{name}</th><td><code>{escape(value)}</code></td></tr>"
        for name, value in (
            ("OpenCode", "bawn connect opencode"),
            ("Continue", "bawn connect continue"),
            ("Ask from a terminal", 'bawn ask "where is the rate limit checked?"'),
            ("Any OpenAI client", f"{base}/v1"),
            ("Search tools (MCP)", f"{base}/mcp"),
        )
    )
    return _section("Connect", f"<table>{rows}</table>")


def _errors(data: PageData, now: float) -> str:
    counted = f"{data.history.requests:,} requests in {_span(now - data.history.started_at)}"
    failures = data.history.failures()
    if not failures:
        return _section("Since start", f'<p>No errors <span class="soft">in {counted}</span></p>')
    rows = "".join(
        f"<tr><td><code>{escape(failure.error)}</code></td><td class=n>{failure.count:,}</td>"
        f'<td class="n soft">last {_span(now - failure.last_at)} ago</td></tr>'
        for failure in failures
    )
    return _section("Since start", f'<table>{rows}</table><p class="soft">{counted}</p>')


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
