"""A report as people read it: 80 columns, and as JSON; neither holds a secret."""

import re
import textwrap
from typing import Final

import msgspec

from bawn.doctor.walk import Report

_COLUMNS: Final = 80
_NAME: Final = 30
_SIGNS: Final = {"good": "✓", "failed": "✗", "not_looked_at": "\N{EN DASH}"}
_PLAIN: Final = {"good": "+", "failed": "x", "not_looked_at": "-"}
_SECRET: Final = re.compile(r"\b(bawn_[0-9A-Za-z]+_|whsec_|tskey-|hskey-|Bearer )[^\s,;\"')]+")


def as_json(report: Report) -> str:
    """For support; nothing in it needs to be taken out first."""
    return masked(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())


def as_text(report: Report, *, unicode: bool = True) -> str:
    """The hops, one a line, then what is wrong and what to do."""
    signs = _SIGNS if unicode else _PLAIN
    lines = [f"bawn {report.version}, looking at this machine as: {', '.join(report.roles)}", ""]
    for step in report.hops:
        head = f"  {signs[step.state]} {step.hop:<{_NAME}}"
        lines.append(textwrap.shorten(step.detail, _COLUMNS - len(head), placeholder=" …") if step.detail else "")
        lines[-1] = f"{head}{lines[-1]}".rstrip()
    failure = report.failure
    lines.append("")
    if failure is None:
        lines.append("Nothing is wrong as far as can be seen from here.")
    else:
        lines += [*_paragraph("What is wrong", failure.wrong), "", *_paragraph("What to do", failure.mend)]
    text = "\n".join(lines) + "\n"
    return masked(text if unicode else text.replace("…", "..."))


def masked(text: str) -> str:
    """`text` without what has the form of a key or a token."""
    return _SECRET.sub(lambda match: f"{match[1]}***", text)


def _paragraph(title: str, text: str) -> list[str]:
    return textwrap.wrap(f"{title}: {text}", _COLUMNS, break_long_words=False, break_on_hyphens=False)
