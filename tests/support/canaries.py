"""Secrets of every rule that belong to nobody, drawn anew from a seed, so that none of them lies in this repository."""

import json
import random
import string
from collections.abc import Callable
from typing import Final

import msgspec

_LETTERS: Final = string.ascii_letters + string.digits
_HEX: Final = "0123456789abcdef"
_UPPER: Final = string.ascii_uppercase + string.digits


class Canary(msgspec.Struct, frozen=True):
    """A secret, and what it takes to find it."""

    rule: str
    value: str
    context: str = "{}"
    """What must stand around it, if its form alone doesn't tell it."""
    path: str | None = None
    """The name of a file, if it must be in such a one."""

    @property
    def text(self) -> str:
        """The secret where it stands."""
        return self.context.replace("{}", self.value)

    @property
    def pieces(self) -> list[str]:
        """Parts of the secret, of its second half if it is long: none of them may be left anywhere."""
        half = self.value[len(self.value) // 2 :] if len(self.value) > 24 else self.value
        lines = [line for line in half.split("\n") if len(line) >= 6 and not line.startswith("-----")]
        return [line[max(0, end - 12) : end] for line in lines for end in range(len(line), 5, -12)]


def canaries(seed: int) -> list[Canary]:
    """One of each rule and form; equal seeds give equal ones."""
    generator = random.Random(seed)

    def drawn(length: int, of: str = _LETTERS) -> str:
        return "".join(generator.choices(of, k=length))

    return [
        *(Canary(rule, value) for rule, value in _tokens(drawn)),
        Canary("private-key", _pem("RSA PRIVATE KEY", drawn)),
        Canary("private-key", _pem("OPENSSH PRIVATE KEY", drawn)),
        Canary("private-key", _pem("PGP PRIVATE KEY BLOCK", drawn)),
        Canary("private-key", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + drawn(32) + "\n" + drawn(64)),
        Canary("url-password", drawn(9), "see postgres://app:{}@db.internal:5432/app for it"),
        Canary("url-password", "sunshine", "see redis://:{}@cache for it"),
        Canary("authorization-header", drawn(40), "curl -H 'Authorization: Bearer {}' there"),
        Canary("assigned-secret", drawn(24), 'db_password = "{}"'),
        Canary("assigned-secret", drawn(40), "api_key={}"),
        Canary("assigned-secret", drawn(32, _HEX), "clientSecret: '{}',"),
        Canary("assigned-secret", drawn(20), "tool --auth-token {} run"),
        Canary("assigned-secret", drawn(20), "<password>{}</password>"),
        Canary("assigned-secret", drawn(20), "- name: APP_SECRET\n  value: {}\n"),
        Canary("env-value", "sunshine", "APP_NAME={}", ".env"),
        Canary("env-value", "twilight\nmeadows", 'export GREETING="{}"', "deploy/.env.production"),
        Canary("credentials-file", "sunshine", "//registry/:_authToken={}", ".npmrc"),
        Canary("credentials-file", "sunshine", "password: {}", "config/secrets.yml"),
        Canary("kubernetes-secret", "c3Vuc2hpbmU=", "kind: Secret\ndata:\n  greeting: {}\n", "k8s/app.yaml"),
    ]


def _pem(kind: str, drawn: Callable[..., str]) -> str:
    body = "\n".join(drawn(64, _LETTERS + "+/") for _ in range(6))
    return f"-----BEGIN {kind}-----\n{body}\n{drawn(22)}==\n-----END {kind}-----"


def _tokens(drawn: Callable[..., str]) -> list[tuple[str, str]]:
    url = _LETTERS + "-_"
    jwt = ".".join(("eyJ" + drawn(33, url), "eyJ" + drawn(80, url), drawn(43, url)))
    return [
        ("age-key", "AGE-SECRET-KEY-1" + drawn(58, _UPPER)),
        ("airtable-token", f"pat{drawn(14)}.{drawn(64, _HEX)}"),
        ("anthropic-key", "sk-ant-api03-" + drawn(93, url)),
        ("atlassian-token", "ATATT3" + drawn(180, url)),
        ("aws-access-key", "AKIA" + drawn(16, _UPPER)),
        ("bawn-key", f"bawn_{drawn(10, _HEX)}_{drawn(43, url)}"),
        ("databricks-token", "dapi" + drawn(32, _HEX)),
        ("digitalocean-token", "dop_v1_" + drawn(64, _HEX)),
        ("discord-token", f"MT{drawn(24)}.{drawn(6)}.{drawn(38, url)}"),
        ("discord-webhook", f"https://discord.com/api/webhooks/{drawn(18, string.digits)}/{drawn(68, url)}"),
        ("docker-token", "dckr_pat_" + drawn(27, url)),
        ("doppler-token", "dp.st.prd." + drawn(43)),
        ("figma-token", "figd_" + drawn(40, url)),
        ("fly-token", "fo1_" + drawn(43, url)),
        ("github-token", "ghp_" + drawn(36)),
        ("github-token", f"github_pat_{drawn(22)}_{drawn(59)}"),
        ("gitlab-token", "glpat-" + drawn(20, url)),
        ("google-api-key", "AIza" + drawn(35, url)),
        ("google-oauth", "GOCSPX-" + drawn(28, url)),
        ("google-oauth", "ya29." + drawn(120, url)),
        ("grafana-token", f"glsa_{drawn(32)}_{drawn(8, _HEX)}"),
        ("groq-key", "gsk_" + drawn(52)),
        ("huggingface-token", "hf_" + drawn(34)),
        ("jwt", jwt),
        ("linear-key", "lin_api_" + drawn(40)),
        ("mailgun-key", "key-" + drawn(32, _HEX)),
        ("netlify-token", "nfp_" + drawn(40)),
        ("newrelic-key", "NRAK-" + drawn(27, _UPPER)),
        ("notion-token", "ntn_" + drawn(46)),
        ("npm-token", "npm_" + drawn(36)),
        ("openai-key", "sk-proj-" + drawn(120, url)),
        ("openai-key", "sk-" + drawn(48)),
        ("perplexity-key", "pplx-" + drawn(48)),
        ("planetscale-token", "pscale_tkn_" + drawn(43, url)),
        ("postman-key", f"PMAK-{drawn(24, _HEX)}-{drawn(34, _HEX)}"),
        ("pulumi-token", "pul-" + drawn(40, _HEX)),
        ("pypi-token", "pypi-AgEIcHlwaS5vcmcC" + drawn(120, url)),
        ("replicate-token", "r8_" + drawn(37)),
        ("rubygems-key", "rubygems_" + drawn(48, _HEX)),
        ("runpod-key", "rpa_" + drawn(44, _UPPER)),
        ("rust-registry-token", "cio" + drawn(32)),
        ("sendgrid-key", f"SG.{drawn(22, url)}.{drawn(43, url)}"),
        ("sentry-token", "sntryu_" + drawn(64, _HEX)),
        ("shopify-token", "shpat_" + drawn(32, _HEX)),
        ("slack-token", f"xoxb-{drawn(12, string.digits)}-{drawn(12, string.digits)}-{drawn(24)}"),
        ("slack-webhook", f"https://hooks.slack.com/services/T{drawn(8, _UPPER)}/B{drawn(8, _UPPER)}/{drawn(24)}"),
        ("square-token", "sq0csp-" + drawn(43, url)),
        ("stripe-key", "sk_live_" + drawn(24)),
        ("supabase-key", "sbp_" + drawn(40, _HEX)),
        ("tailnet-key", f"tskey-auth-{drawn(12)}CNTRL-{drawn(32)}"),
        ("telegram-token", f"{drawn(9, '123456789')}:AA{drawn(33, url)}"),
        ("terraform-token", f"{drawn(14)}.atlasv1.{drawn(67)}"),
        ("vault-token", "hvs." + drawn(90, url)),
        ("xai-key", "xai-" + drawn(80)),
    ]


def notebook(lines: list[str]) -> str:
    """A Jupyter notebook with `lines` in a cell, which stand there as strings of JSON."""
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": [f"{line}\n" for line in lines]}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
