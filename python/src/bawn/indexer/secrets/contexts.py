"""Secrets that are known by where they stand: private keys, passwords in URLs, what is assigned to a password.

Every expression is bounded, so that none takes more than some constant number of steps at a place.
"""

import base64
import re
from collections.abc import Iterator
from typing import Final

from bawn.indexer.secrets.plausible import is_given, is_made_up, is_secret
from bawn.indexer.secrets.spans import Span

PRIVATE_KEY: Final = "private-key"
IN_URL: Final = "url-password"
AUTHORIZATION: Final = "authorization-header"
RULES: Final = (PRIVATE_KEY, IN_URL, AUTHORIZATION)

_KEY_BEGIN: Final = re.compile(
    rb"-----BEGIN (?:(?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?|OpenVPN Static key V1)-----"
)
_KEY_END: Final = re.compile(rb"-----END [\w ]{1,60}-----")
_LONGEST_KEY: Final = 32_768
_KEY_DATA: Final = re.compile(rb"[A-Za-z0-9+/=]{16,}")
_KEY_BREAK: Final = r"(?:\\[nr]|[\s\"'`,+|>#*;\\]){1,64}"
KEY_LINES: Final = (
    rf"[A-Za-z0-9+/=]*(?:{_KEY_BREAK}[A-Za-z0-9+/=]{{16,}}){{0,1000}}(?:{_KEY_BREAK}[A-Za-z0-9+/]{{0,15}}=+)?"
)
"""Lines of a key, with whatever a language puts around them when it makes one string of several."""
_KEY_LINES: Final = re.compile(KEY_LINES.encode())
_LEAST_KEY: Final = 40
"""Characters of data: an Ed25519 key has 64, and an example that is cut short fewer than this."""
_BESIDE_DATA: Final = b" \t\r\n\"'`,+|>#*;\\"

_USER_INFO: Final = re.compile(rb"[^\s:/?#@\"'`<>]{0,128}:([^\s/?&\"'`<>]{4,256})@([\w.$%{\[-]{1,100})")
_NO_HOST: Final = re.compile(rb"(?:.*\.)?example(?:\.|$)|host(?:name)?$|server$", re.IGNORECASE)

_HEADER: Final = re.compile(rb"(bearer|basic)[ \t]{1,4}[\"']?([A-Za-z0-9._~+/=-]{16,4096})", re.IGNORECASE)


def find_private_keys(raw: bytes) -> Iterator[Span]:
    """Blocks of private keys, whole; a header alone, or one with dots below it, is none."""
    end = 0
    while (at := raw.find(b"-BEGIN ", end)) >= 0:
        begin = _KEY_BEGIN.match(raw, max(0, at - 4))
        end = at + 1
        if begin and (stop := _end_of_key(raw, begin.end())):
            yield Span(begin.start(), stop, PRIVATE_KEY)
            end = stop


def _end_of_key(raw: bytes, begin: int) -> int | None:
    last = _KEY_END.search(raw, begin, begin + _LONGEST_KEY)
    if last:
        body = raw[begin : last.start()]
        data = b"".join(_KEY_DATA.findall(body))
        # Between two headers that are constants of a program is code.
        if len(data) * 2 > len(body.translate(None, _BESIDE_DATA)) and _is_key_data(data):
            return last.end()
    lines = _KEY_LINES.match(raw, begin, begin + _LONGEST_KEY)
    return lines.end() if lines and _is_key_data(b"".join(_KEY_DATA.findall(lines.group()))) else None


def _is_key_data(data: bytes) -> bool:
    return len(data) >= _LEAST_KEY and len(set(data)) > 12


def find_url_passwords(raw: bytes) -> Iterator[Span]:
    """Passwords between a URL's scheme and its host."""
    end = 0
    while (at := raw.find(b"://", end)) >= 0:
        end = at + 3
        match = _USER_INFO.match(raw, end)
        if match and not _NO_HOST.match(match[2]):
            user, password = raw[end : match.start(1) - 1].decode("latin-1"), match[1].decode("latin-1")
            if password != user and is_given(password):
                yield Span(match.start(1), match.end(1), IN_URL)


def find_authorization(raw: bytes, lower: bytes) -> Iterator[Span]:
    """What stands after `Bearer` and `Basic`."""
    for word in (b"bearer", b"basic"):
        end = 0
        while (at := lower.find(word, end)) >= 0:
            end = at + len(word)
            match = _HEADER.match(raw, at)
            if match and is_secret(match[2].decode()) and not (word == b"basic" and _is_made_up_basic(match[2])):
                yield Span(match.start(2), match.end(2), AUTHORIZATION)


def _is_made_up_basic(value: bytes) -> bool:
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return True
    return not colon or user == password or is_made_up(password)
