"""Whether a string can be a secret: it looks random, and it is no stand-in that an author wrote for one.

Shannon's entropy can't tell the two apart at the length of a password: 20 random letters and digits have 4.0 bits a
character, an identifier as long has 3.5, and both vary by more than that. Neighbours can. Of 100 pairs of letters in
the words of code 85 are among the 200 pairs below, of random ones 30; words hardly ever have a digit beside a letter,
or a capital after a small letter, where random letters and digits do at 27 and 17 of 100 places. The logarithms of
these ratios are added up over the string, so that a long one is judged with more certainty than a short one.
"""

import re
from itertools import pairwise
from typing import Final

SHORTEST: Final = 8
"""Characters; what is shorter is seldom random, and is guessed sooner than it is found."""
RANDOM: Final = 8
"""Points from which on a value is called random. 4 in 1,000 random strings of 16 letters and digits have fewer, 1 in
1,000 of 20, and 5 in 1,000 identifiers have as many. A point is half of a natural logarithm."""
NO_WORDS: Final = -4
"""Points that suffice where a prefix has said already that it is a token: 20 letters of words have some -10."""
_COMMON_PAIR: Final = -2
_RARE_PAIR: Final = 3
_MIXED_PAIR: Final = 4
_CAPITAL: Final = 2

_DISTINCT: Final = 6  # different characters; eight random hexadecimal digits have 6.4
_SEQUENCE: Final = 6  # ascending characters

_FOLLOWERS: Final = {
    "a": "bcdgilmnprstuy", "b": "aeilorsu", "c": "aehiklorstu", "d": "adeiors", "e": "acdefgilmnprstvwx",
    "f": "aefilor", "g": "eirs", "h": "aeio", "i": "abcdefglmnoprstvz", "k": "e", "l": "adeilostuy", "m": "aeiops",
    "n": "acdefgiostuv", "o": "bcdglmnoprstuw", "p": "aehiloprst", "q": "u", "r": "acdegimnorstuy", "s": "acehilopstu",
    "t": "acehiloprstuy", "u": "abeilmnprst", "v": "aei", "w": "ai", "x": "t", "y": "p", "z": "e",
}  # fmt: skip
_COMMON: Final = frozenset(first + second for first, seconds in _FOLLOWERS.items() for second in seconds)
_SEPARATORS: Final = frozenset("_-./: \\,;|()[]{}")

_STAND_IN: Final = re.compile(
    r"""
      example | change[-_. ]?(?:me|this|it) | place[-_ ]?holder | dummy | redacted | replace | your[-_ ]
    | not[-_]?(?:a[-_]?)?(?:real|secret|used|secure|needed) | insecure | x{5} | \*\*\*\* | \.\.\. | foobar | qwerty
    | asdfgh | deadbeef | letmein | hunter2 | (?:very|super|top)[-_ ]?secret
    """,
    re.IGNORECASE | re.VERBOSE,
)
_TEMPLATE: Final = re.compile(
    r"""
      \$\{ | \{\{ | \#\{ | %\{ | \$\( | <% | \{[A-Za-z_][\w.\[\]]*(?:![rsa])?(?::[^{}]*)?\} | %\([A-Za-z_]\w*\)
    | ^<.*>$ | ^\$[A-Za-z_]\w*$ | ^%[A-Za-z_]\w*%$ | ^@[\w.]+@$ | ^%[sdvr]$ | ^ENC\[ | ^[a-z][a-z0-9+.-]{0,20}:[/?]
    """,
    re.VERBOSE,
)
_PUBLIC: Final = re.compile(
    r"""
      \{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?  # a UUID
    | \d{4}-\d\d-\d\dT[\d:.]+(?:z|[+-][\d:]+)?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_LEET: Final = str.maketrans("01345@$", "oleasas")
_WORD: Final = re.compile(
    r"""
      pass(?:word|wd|phrase)? | pwd | secret | token | admin | root | user(?:name)? | login | welcome | super | test
    | value | default | api | key | guest | postgres(?:ql)? | mysql | mongo(?:db)? | redis | rabbit(?:mq)? | maria
    | local | dev | demo | fake | sample | todo | abc | foo | bar | baz | some | access | my | db
    | pbkdf2 | hmac | sha[0-9s]{0,3} | aes | rsa | oauth
    """,
    re.IGNORECASE | re.VERBOSE,
)


def is_template(value: str) -> bool:
    """Whether something else takes the value's place when it is used: a variable, a reference to a store."""
    return _TEMPLATE.search(value) is not None


def is_stand_in(value: str) -> bool:
    """Whether the value says of itself that it is none: `changeme`, `xxxxx`, `your-token`, `abcdef123456`."""
    if _STAND_IN.search(value) or len(set(value)) < _DISTINCT or value in (value + value)[1:-1]:
        return True
    longest = run = 1
    for first, second in pairwise(value):
        run = run + 1 if ord(second) - ord(first) == 1 else 1
        longest = max(longest, run)
    return longest >= _SEQUENCE


def randomness(value: str) -> int:
    """Points for and against that the characters of `value` were drawn and not written."""
    points = 0
    for first, second in pairwise(value):
        if first in _SEPARATORS or second in _SEPARATORS or (first.isdigit() and second.isdigit()):
            continue
        if not (first.isalpha() and second.isalpha()):
            points += _MIXED_PAIR
        elif first.islower() and second.isupper():
            points += _CAPITAL
        elif (first + second).lower() in _COMMON or not (first + second).isascii():
            points += _COMMON_PAIR
        else:
            points += _RARE_PAIR
    return points


def is_given(value: str) -> bool:
    """Whether a value that stands where a password must stand is one, random or not."""
    return not is_template(value) and not is_made_up(value)


def is_made_up(value: str) -> bool:
    """Whether so little is left of a password without the words of examples that nobody would have it for one."""
    return _STAND_IN.search(value) is not None or len(set(_without_words(value))) < 4


def is_secret(value: str) -> bool:
    """Whether a value that has a secret's name is one: for that it must look random."""
    return (
        len(value) >= SHORTEST
        and not is_template(value)
        and not _PUBLIC.fullmatch(value)
        and not is_stand_in(value)
        and randomness(_without_words(value)) >= RANDOM
    )


def _without_words(value: str) -> str:
    """`value` less the words that made-up secrets are made of, also where digits stand for their letters."""
    kept: list[str] = []
    end = 0
    for word in _WORD.finditer(value.translate(_LEET)):
        kept.append(value[end : word.start()])
        end = word.end()
    return "".join(kept) + value[end:]
