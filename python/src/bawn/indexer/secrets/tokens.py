"""Secrets that are known by their form: what services put at the front of the tokens that they issue.

A token has a run of `_RUN` letters, digits, `_` and `-`, which is found at the speed of a search for a byte; only where
such runs begin, or a part of one after `_` or `-`, is anything else looked at.
"""

import re
from collections.abc import Iterator
from typing import Final

from bawn.indexer.secrets.contexts import KEY_LINES, PRIVATE_KEY
from bawn.indexer.secrets.plausible import NO_WORDS, is_stand_in, randomness
from bawn.indexer.secrets.spans import Span

_RUN: Final = 20
_JUDGED: Final = 100  # characters of a body, which may be a whole key

_FORMS: Final = (
    # rule, prefixes, what follows
    ("age-key", "AGE-SECRET-KEY-1", r"[A-Z0-9]{40,}"),
    ("anthropic-key", "sk-ant-", r"[\w-]{20,}"),
    ("atlassian-token", "ATATT3 ATCTT3 ATBB", r"[\w=-]{20,}"),
    ("aws-access-key", "AKIA ASIA ABIA ACCA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("bawn-key", "bawn_", r"[0-9a-f]{10}_[\w-]{30,}"),
    ("databricks-token", "dapi", r"[0-9a-f]{32}"),
    ("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{64}"),
    ("discord-token", "MD MT Mj Mz ND NT Nj Nz OD OT", r"[\w-]{22,26}\.[\w-]{6}\.[\w-]{27,40}"),
    ("docker-token", "dckr_pat_ dckr_oat_", r"[\w-]{20,}"),
    ("figma-token", "figd_", r"[\w-]{30,}"),
    ("fly-token", "fo1_", r"[\w-]{40,}"),
    ("fly-token", "fm1_ fm2_ fm1a_ fm1r_", r"[A-Za-z0-9+/=]{40,}"),
    ("github-token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"\w{36,}"),
    (
        "gitlab-token",
        "glpat- gldt- glrt- glrtr- glptt- glcbt- glft- glsoat- glagent- glimt- gloas- glffct- glwt- GR1348941",
        r"[\w-]{20,}[\w.-]*",
    ),
    ("google-api-key", "AIza", r"[\w-]{35}"),
    ("google-oauth", "GOCSPX-", r"[\w-]{24,}"),
    ("grafana-token", "glsa_", r"[A-Za-z0-9]{32}_[0-9a-fA-F]{8}"),
    ("grafana-token", "glc_", r"[A-Za-z0-9+/=]{32,}"),
    ("groq-key", "gsk_", r"[A-Za-z0-9]{40,}"),
    ("huggingface-token", "hf_ api_org_", r"[A-Za-z0-9]{30,}"),
    ("jwt", "eyJ", r"[\w-]{10,500}\.eyJ[\w-]{8,}\.[\w-]{10,}"),
    ("linear-key", "lin_api_ lin_oauth_", r"[A-Za-z0-9]{32,}"),
    ("mailgun-key", "key-", r"[0-9a-f]{32}(?![0-9a-f])"),
    ("netlify-token", "nfp_", r"[A-Za-z0-9]{36,}"),
    ("newrelic-key", "NRAK- NRII- NRAA- NRBR-", r"[\w-]{24,}"),
    ("notion-token", "ntn_ secret_", r"[A-Za-z0-9]{43,50}(?!\w)"),
    ("npm-token", "npm_", r"[A-Za-z0-9]{36}"),
    ("openai-key", "sk-", r"[\w-]{40,}|[A-Za-z0-9]{32,}"),
    ("perplexity-key", "pplx-", r"[A-Za-z0-9]{40,}"),
    ("planetscale-token", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.-]{32,}"),
    ("postman-key", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),
    # Without a header: what a key in DER begins with, and the header where it is encoded once more.
    (PRIVATE_KEY, "MII", r"[A-Za-z0-9]{1,3}IBA(?:DANBgkqhkiG9w0BAQEFAASC|AKC|AKB)" + KEY_LINES),
    (PRIVATE_KEY, "MIGHAgEAM MIGkAgEBB MHcCAQEEI MC4CAQAwBQYDK2VwBCIEI b3BlbnNzaC1rZXktdjE", KEY_LINES),
    (PRIVATE_KEY, "LS0tLS1CRUdJTi", "(?!BDRVJU|BQVUJM)" + KEY_LINES),
    ("pulumi-token", "pul-", r"[0-9a-f]{40}"),
    ("pypi-token", "pypi-Ag", r"[\w-]{50,}"),
    ("replicate-token", "r8_", r"[A-Za-z0-9]{37,}"),
    ("rubygems-key", "rubygems_", r"[0-9a-f]{48}"),
    ("runpod-key", "rpa_", r"[A-Z0-9]{40,}"),
    ("rust-registry-token", "cio", r"[A-Za-z0-9]{32}(?!\w)"),
    ("sentry-token", "sntryu_", r"[0-9a-f]{64}"),
    ("sentry-token", "sntrys_", r"[A-Za-z0-9+/=_]{40,}"),
    ("shopify-token", "shpat_ shpca_ shppa_ shpss_ shpua_", r"[0-9a-fA-F]{32}"),
    ("slack-token", "xoxa- xoxb- xoxc- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs- xapp-", r"[A-Za-z0-9.-]{20,}"),
    ("square-token", "sq0csp- sq0atp- sq0idp-", r"[\w-]{22,}"),
    ("stripe-key", "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_", r"[A-Za-z0-9]{16,}"),
    ("stripe-key", "whsec_", r"[A-Za-z0-9+/=]{30,}"),
    ("supabase-key", "sbp_ sb_secret_", r"[\w-]{20,}"),
    ("tailnet-key", "tskey- hskey-", r"[A-Za-z0-9-]{20,}"),
    ("xai-key", "xai-", r"[A-Za-z0-9]{60,}"),
)
_DOTTED_FORMS: Final = (
    # rule, what stands before the run, the run and what follows
    ("airtable-token", r"pat[A-Za-z0-9]{14}\.", r"[0-9a-f]{64}"),
    ("discord-webhook", r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/", r"[\w-]{40,}"),
    ("doppler-token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{1,20}\.)?", r"[\w-]{40,}"),
    ("google-oauth", r"ya29\.|1//", r"[\w-]{40,}"),
    ("sendgrid-key", r"SG\.", r"[\w-]{20,24}\.[\w-]{39,50}"),
    ("slack-webhook", r"hooks\.slack\.com/(?:services|workflows)/[A-Z0-9]{8,14}/[A-Z0-9]{8,14}/", r"[A-Za-z0-9]{20,}"),
    ("telegram-token", r"[0-9]{8,10}:", r"AA[\w-]{33}(?![\w-])"),
    ("terraform-token", r"[A-Za-z0-9]{14}\.atlasv1\.", r"[\w-]{60,}"),
    ("vault-token", r"hv[sbr]\.", r"[\w-]{24,}"),
)

RULES: Final = tuple(sorted({rule for rule, _, _ in (*_FORMS, *_DOTTED_FORMS)} - {PRIVATE_KEY}))

_Form = tuple[bytes, str, re.Pattern[bytes]]


def _by_beginning() -> dict[bytes, list[_Form]]:
    forms: dict[bytes, list[_Form]] = {}
    for rule, prefixes, body in _FORMS:
        for prefix in prefixes.encode().split():
            forms.setdefault(prefix[:2], []).append((prefix, rule, re.compile(body.encode())))
    return forms


_BY_BEGINNING: Final = _by_beginning()
_BORDER: Final = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=\\u00[0-9a-f]{2})|(?<=%[0-9A-F]{2}))"
_BEFORE: Final = re.compile(f"{_BORDER}(?:{'|'.join(f'({before})' for _, before, _ in _DOTTED_FORMS)})$".encode())
_AFTER: Final = [(rule, re.compile(after.encode())) for rule, _, after in _DOTTED_FORMS]
_LONGEST_BEFORE: Final = 72

_TOKEN_BYTES: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_MAP: Final = bytes(ord("x") if byte in _TOKEN_BYTES else ord(" ") for byte in range(256))
_PLAIN: Final = b"abcdefghijklmnopqrstuvwxyz_-"
"""A run of these alone is the name of something: one random run of 20 letters and digits in 30 million is."""
_WHOLE_RUN: Final = b"x" * _RUN
_DOTS: Final = frozenset({b".", b"/", b":"})
_ESCAPES: Final = {b"\\": (1, 5), b"%": (2,)}
"""How many characters of an escape a run may begin with: `\\n` or `\\u003d` in JSON, `%3D` in a URL."""


def find_tokens(raw: bytes) -> Iterator[Span]:
    """Tokens of a known form in `raw`, one byte a character, in order."""
    found = 0
    for start, end in _runs(raw):
        before = raw[start - 1 : start]
        if span := _behind_dot(raw, start, before) or _behind_escape(raw, start, before):
            yield span
            found = span.end
        run = raw[start:end]
        if not run.translate(None, _PLAIN):
            continue
        position = start
        for part in run.replace(b"-", b"_").split(b"_"):
            if part[:2] in _BY_BEGINNING and position >= found and (span := _token(raw, position)):
                yield span
                found = span.end
            position += len(part) + 1


def _runs(raw: bytes) -> Iterator[tuple[int, int]]:
    """Where runs of at least `_RUN` bytes of tokens begin and end."""
    mapped = raw.translate(_MAP) + b" "
    end = 0
    while (start := mapped.find(_WHOLE_RUN, end)) >= 0:
        end = mapped.index(b" ", start)
        yield start, end


def _token(raw: bytes, start: int) -> Span | None:
    for prefix, rule, body in _BY_BEGINNING.get(raw[start : start + 2], ()):
        if raw.startswith(prefix, start):
            match = body.match(raw, start + len(prefix))
            if match and _is_issued(match.group()):
                return Span(start, match.end(), rule)
    return None


def _behind_escape(raw: bytes, start: int, sign: bytes) -> Span | None:
    for length in _ESCAPES.get(sign, ()):
        if span := _token(raw, start + length):
            return span
    return None


def _behind_dot(raw: bytes, start: int, sign: bytes) -> Span | None:
    if sign not in _DOTS:
        return None
    before = _BEFORE.search(raw, max(0, start - _LONGEST_BEFORE), start)
    if before is None or before.lastindex is None:
        return None
    rule, after = _AFTER[before.lastindex - 1]
    match = after.match(raw, start)
    if match and _is_issued(match.group()):
        return Span(before.start(), match.end(), rule)
    return None


def _is_issued(body: bytes) -> bool:
    text = body[:_JUDGED].decode("latin-1")
    return not is_stand_in(text) and randomness(text) >= NO_WORDS
