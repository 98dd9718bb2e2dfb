"""The text of a file without the secrets in it."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from bawn.indexer.secrets import contexts, files, tokens
from bawn.indexer.secrets.assignments import ASSIGNED, find_assigned
from bawn.indexer.secrets.spans import Span

VERSION: Final = 1
"""Version of the rules: with another one every file is looked at anew."""

RULES: Final = (*tokens.RULES, *contexts.RULES, *files.RULES, ASSIGNED)
"""Names of all rules. Where several find a place, the first says most about it."""
_RANK: Final = {rule: rank for rank, rule in enumerate(RULES)}
_PASSES: Final = 8
_CONFIGURATION: Final = (".properties", ".ini", ".cfg", ".conf", ".cnf", ".yaml", ".yml", ".tfvars")


class Finding(msgspec.Struct, frozen=True):
    """A place that was masked."""

    rule: str
    line: int
    """From 1; the first where it has several."""


def mask(text: str, path: str) -> tuple[str, list[Finding]]:
    """`text` with a mark of the form `<masked:rule>` in the place of each secret, and as many lines as before."""
    findings: list[Finding] = []
    # Where one secret is next to another, the second may be seen only when the first is gone.
    for _ in range(_PASSES):
        text, found = _masked(text, _spans(text, path))
        if not found:
            break
        findings = sorted(findings + found, key=lambda finding: finding.line)
    return text, findings


def _spans(text: str, path: str) -> list[Span]:
    # One byte a character, so that places in the bytes are places in the text.
    raw = text.encode("latin-1", "replace")
    lower = raw.lower()
    whole = path.lower().endswith(_CONFIGURATION)
    return [
        *tokens.find_tokens(raw),
        *contexts.find_private_keys(raw),
        *contexts.find_url_passwords(raw),
        *contexts.find_authorization(raw, lower),
        *find_assigned(text, raw, lower, whole=whole),
        *files.find_in_file(path, text, raw, lower),
    ]


def _masked(text: str, spans: list[Span]) -> tuple[str, list[Finding]]:
    kept: list[str] = []
    findings: list[Finding] = []
    end, line = 0, 1
    for span in _joined(spans):
        line += text.count("\n", end, span.start)
        findings.append(Finding(span.rule, line))
        lines = text.count("\n", span.start, span.end)
        kept += (text[end : span.start], f"<masked:{span.rule}>", "\n" * lines)
        line += lines
        end = span.end
    return ("".join(kept) + text[end:], findings) if findings else (text, findings)


def mask_path(path: str) -> str:
    """`path` with a mark in the place of each token of a known form."""
    return _masked(path, list(tokens.find_tokens(path.encode("latin-1", "replace"))))[0]


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """`spans` in order, with those that overlap made one."""
    current: Span | None = None
    for span in sorted(spans):
        if current is None or span.start >= current.end:
            if current is not None:
                yield current
            current = span
        else:
            rule = min(current.rule, span.rule, key=_RANK.__getitem__)
            current = Span(current.start, max(current.end, span.end), rule)
    if current is not None:
        yield current
