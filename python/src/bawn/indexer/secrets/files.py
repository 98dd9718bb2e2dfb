"""Files that are made to hold secrets: which are left out, and of which every value is masked, random or not."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from bawn.indexer.secrets.assignments import find_assigned
from bawn.indexer.secrets.plausible import is_given, is_template
from bawn.indexer.secrets.spans import Span

ENV_VALUE: Final = "env-value"
CREDENTIALS_FILE: Final = "credentials-file"
KUBERNETES: Final = "kubernetes-secret"
RULES: Final = (ENV_VALUE, CREDENTIALS_FILE, KUBERNETES)

_KEY_FILE: Final = re.compile(
    r"""
      id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?
    | .*\.(?:p12|pfx|jks|jceks|bcfks|keystore|truststore|kdbx?|ppk|pk8|keychain(?:-db)?|agekey)
    | [._]netrc | \.authinfo | \.pgpass | pgpass\.conf | \.my(?:login)?\.cnf | \.git-credentials | \.htpasswd
    | \.htdigest | \.vault[-_]?(?:token|pass|password)(?:\.txt)? | secring\.(?:gpg|pgp) | master\.key
    """,
    re.VERBOSE | re.DOTALL,
)
_PEM_SUFFIXES: Final = frozenset({".pem", ".key", ".p8"})
_KEY_HEADER: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,60}PRIVATE KEY|PuTTY-User-Key-File-[0-9]")

_ENV_FILE: Final = re.compile(r"\.env(?:rc)?(?:[._-][a-z0-9._-]+)?|[a-z0-9._-]+\.env|\.flaskenv|\.dev\.vars")
_NO_ENV_FILE: Final = frozenset(
    {
        "example", "sample", "template", "tmpl", "tpl", "dist", "schema",
        "ts", "tsx", "js", "jsx", "mts", "cts", "mjs", "cjs", "py", "rb", "md",
    }
)  # fmt: skip
_ENV_LINE: Final = re.compile(
    rb"""
    ^[^\S\n]*
    (?:\#[^\S\n]*(?=[A-Z][A-Z0-9_]*=))?  # one that is commented out
    (?:export[^\S\n]+)?
    [A-Za-z_][\w.-]*[^\S\n]*(?:=|:[^\S\n])[^\S\n]*
    (?:
      (?:\"(?P<double>(?:[^\"\\]|\\.)+)\"|'(?P<single>[^']+)')(?=[^\S\n]*(?:\#|\r?$))
      | (?P<bare>[^\s\#][^\n\r]*)
    )
    """,
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)

_CREDENTIALS_FILE: Final = re.compile(
    r"""
    (?:.*/)?
    (?: \.npmrc | \.yarnrc(?:\.yml)? | \.pypirc | \.dockercfg | \.s3cfg | \.boto | \.terraformrc | kubeconfig
      | (?:[^/]*[._-])?(?:secrets?|credentials?)\.(?:ya?ml|json|toml|ini|properties|cfg|conf) | [^/]*\.tfvars
      | \.(?:aws|gem|cargo)/credentials(?:\.toml)? | \.docker/config\.json | \.kube/config
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_AUTH: Final = re.compile(rb"(?<![\w-])_?auth[\"']?[^\S\n]{0,8}[:=][^\S\n]{0,8}[\"']?([^\s\"',{]{4,1024})")

_MANIFEST_SUFFIXES: Final = (".yaml", ".yml", ".tpl")
_MANIFEST: Final = re.compile(rb"(?:\A|^---[^\n]*\n)(.*?)(?=^---|\Z)", re.MULTILINE | re.DOTALL)
_IS_SECRET: Final = re.compile(rb"^kind:[^\S\n]*[\"']?Secret[\"']?[^\S\n]*$", re.MULTILINE)
_DATA: Final = re.compile(rb"^(?:data|stringData):[^\S\n]*\n((?:[^\S\n]+[^\n]*(?:\n|\Z)|\n)*)", re.MULTILINE)
_DATUM: Final = re.compile(
    rb"^[^\S\n]+(?:[\w.-]+:(?:[^\S\n]+[|>][-+0-9]*)?[^\S\n]*$|(?:[\w.-]+:[^\S\n]+)?([^\s][^\n]*))", re.MULTILINE
)


def is_key_file(path: str) -> bool:
    """Whether a file of this name is key material as a whole."""
    return _KEY_FILE.fullmatch(PurePosixPath(path).name.lower()) is not None


def holds_private_key(path: str, text: str) -> bool:
    """Whether a file is there for the private key in it."""
    begin = _KEY_HEADER.search(text, 0, 65_536)
    if begin is None:
        return False
    return not text[: begin.start()].strip() or PurePosixPath(path).suffix.lower() in _PEM_SUFFIXES


def find_in_file(path: str, text: str, raw: bytes, lower: bytes) -> Iterator[Span]:
    """Values of a file that is made to hold secrets; nothing in any other file."""
    path = path.lower()
    name = PurePosixPath(path).name
    if _ENV_FILE.fullmatch(name) and not _NO_ENV_FILE.intersection(re.split(r"[._-]", name)):
        yield from _find_env_values(raw)
    elif _CREDENTIALS_FILE.fullmatch(path):
        for found in find_assigned(text, raw, lower, whole=True, any_value=True):
            yield found._replace(rule=CREDENTIALS_FILE)
        for match in _AUTH.finditer(raw):
            if is_given(text[match.start(1) : match.end(1)]):
                yield Span(match.start(1), match.end(1), CREDENTIALS_FILE)
    if name.endswith(_MANIFEST_SUFFIXES) and b"Secret" in raw:
        yield from _find_manifest_values(text, raw)


def _find_env_values(raw: bytes) -> Iterator[Span]:
    for match in _ENV_LINE.finditer(raw):
        start, end = match.span(match.lastgroup or "bare")
        # Whatever stands there: a short password looks like any other value. What is masked already stays.
        if raw[start:end].strip(b"\"' \t") and not raw.startswith(b"<masked:", start):
            yield Span(start, end, ENV_VALUE)


def _find_manifest_values(text: str, raw: bytes) -> Iterator[Span]:
    for manifest in _MANIFEST.finditer(raw):
        if not _IS_SECRET.search(raw, manifest.start(1), manifest.end(1)):
            continue
        for data in _DATA.finditer(raw, manifest.start(1), manifest.end(1)):
            for datum in _DATUM.finditer(raw, data.start(1), data.end(1)):
                start, end = datum.span(1)
                if start >= 0 and not is_template(text[start:end].strip("\"' \r\t")):
                    yield Span(start, end, KUBERNETES)
