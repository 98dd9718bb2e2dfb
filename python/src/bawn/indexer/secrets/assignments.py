"""Values that are given to names such as `password`, `api_key` or `client_secret`, in any language.

The same few forms are in all of them: a name, perhaps in quotes or brackets, a sign, a value in quotes or without any.
"""

import re
from collections.abc import Iterator
from typing import Final

from bawn.indexer.secrets.plausible import is_given, is_secret
from bawn.indexer.secrets.spans import Span

ASSIGNED: Final = "assigned-secret"
_JUDGED: Final = 128  # characters of a value

_WORDS: Final = (b"pass", b"pwd", b"secret", b"token", b"key", b"cred", b"psk")
_KEYS_OF: Final = tuple(
    b"api access secret private auth encrypt encryption sign signing master account storage shared service license"
    b" client app application deploy consumer session hmac jwt crypto cipher aes webhook integration subscription"
    b" admin preshared pre-shared pre_shared".split()
)
"""What makes a key a secret one: a primary, foreign, public or sort key is none."""
_TOKENS_OF: Final = tuple(
    b"next page starting start continuation pagination cursor sync change update"
    b" bos eos pad unk mask stop special".split()
)
"""What makes a token a place in a list or a text."""

_NAME: Final = re.compile(
    rb"(?:pass(?:word|wd|phrase|code)|(?P<verb>pass)|pwd|secret|token|key|credential|cred|psk)s?"
    rb"(?:[_-]?(?:key|value|val|str|string|text|plain|raw|b64|base64|hex|data|prod|production|staging|dev|test|live"
    rb"|local|default|old|new|\d{1,3})){0,3}(?![a-z0-9_-])"
)
_CLOSED: Final = rb"(?:\\{0,3}[\"'`])?(?:\[\d{0,4}\])?[\])]{0,2}[^\S\n]{0,16}"
_TYPED: Final = rb":[^\S\n]{0,4}[&A-Za-z][\w<>\[\].,?|&' ]{0,40}=(?!=)"  # `token: str = "…"`
# <add key="ApiKey" value="…"/>, and a container's environment in YAML, which may be commented out or in a notebook.
_ELSEWHERE: Final = rb"(?:\\[nr]|[\s#/*\"',]){1,60}value\s{0,4}[=:]"
_QUOTED: Final = re.compile(
    _CLOSED + rb"(?:" + _TYPED + rb"|=>|:=|[=!]==?|[=:,(>]|" + _ELSEWHERE + rb"|(?<=\s)(?=[\"']))"
    rb"\s{0,60}[A-Za-z@$&]{0,3}(?P<quote>\\{0,3}[\"'`])"
    rb"(?P<value>(?:(?!(?P=quote))(?:\\[^\n]|[^\s\\])){4,4096})(?P=quote)"
)
_BARE_VALUE: Final = rb"[^\S\n]{0,16}(?P<value>[^\s\"'`,;(){}\[\]<>&|\\=]{4,4096}={0,3})(?=[\s,;&\"'`<\\|)}\]]|$)"
_BARE: Final = re.compile(_CLOSED + rb"(?:=>|:=|[=!]==?|[=:>]|" + _ELSEWHERE + rb")" + _BARE_VALUE)
_WHOLE: Final = re.compile(_CLOSED + rb"[=:][^\S\n]{0,16}(?P<value>[^\s\"'`]\S{3,4095})")
_OPTION: Final = re.compile(rb"--[\w-]*$")
_ARGUMENT: Final = re.compile(rb"[^\S\n]" + _BARE_VALUE)


def find_assigned(
    text: str, raw: bytes, lower: bytes, *, whole: bool = False, any_value: bool = False
) -> Iterator[Span]:
    """Values of names that secrets have.

    Args:
        text: the file.
        raw: the same, one byte a character.
        lower: `raw` in lower case.
        whole: a value without quotes goes on to the next space, as in configuration, also where code would end it.
        any_value: values count also when they don't look random.
    """
    forms = (_QUOTED, _WHOLE, _BARE, _ARGUMENT) if whole else (_QUOTED, _BARE, _ARGUMENT)
    for word in _WORDS:
        end = 0
        while (at := lower.find(word, end)) >= 0:
            end = at + len(word)
            if not _is_secret_name(raw, lower, at, word) or not (name := _NAME.match(lower, at)):
                continue
            if name["verb"] and raw.startswith(b"(", name.end()):
                continue  # `should_pass("…")`
            for form in forms if _OPTION.search(raw, max(0, at - 32), at) else forms[:-1]:
                if not (match := form.match(raw, name.end())):
                    continue
                start, stop = match.span("value")
                value = text[start : min(stop, start + _JUDGED)]
                if is_given(value) if any_value else is_secret(value):
                    yield Span(start, stop, ASSIGNED)
                    end = stop
                    break


def _is_secret_name(raw: bytes, lower: bytes, at: int, word: bytes) -> bool:
    if word == b"key":
        return lower[max(0, at - 14) : at].rstrip(b"_-. ").endswith(_KEYS_OF)
    if word == b"token":
        return not lower[max(0, at - 14) : at].rstrip(b"_-. ").endswith(_TOKENS_OF)
    # `pass` as a word of its own, and not the end of `bypass`.
    return (
        word != b"pass"
        or lower[at + 4 : at + 5] in b"wp"
        or not lower[at - 1 : at].isalpha()
        or raw[at : at + 1] == b"P"
    )
