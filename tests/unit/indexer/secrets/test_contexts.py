import base64

import pytest

from bawn.indexer.secrets.contexts import find_authorization, find_private_keys, find_url_passwords
from support.canaries import canaries

PEM = next(canary.value for canary in canaries(2) if canary.rule == "private-key")
LINES = PEM.split("\n")


def keys(text: str) -> list[str]:
    return [text[span.start : span.end] for span in find_private_keys(text.encode("latin-1"))]


def passwords(text: str) -> list[str]:
    return [text[span.start : span.end] for span in find_url_passwords(text.encode("latin-1"))]


def authorizations(text: str) -> list[str]:
    raw = text.encode("latin-1")
    return [text[span.start : span.end] for span in find_authorization(raw, raw.lower())]


def test_a_private_key_is_found_whole() -> None:
    assert keys(f'KEY = """{PEM}"""\nx = 1\n') == [PEM]
    assert keys(f"{PEM}\n\n{PEM}\n") == [PEM, PEM]


@pytest.mark.parametrize(
    ("line", "between"),
    [
        ("{}", "\\n"),  # JSON
        ('"{}\\n"', "\n    "),  # C, Python
        ("'{}' +", "\n"),  # JavaScript
        ("  {}", "\n"),  # YAML
        ("# {}", "\n"),
        ("{}", "\r\n"),
        ("{}", " "),
    ],
)
def test_a_private_key_is_found_in_the_strings_of_any_language(line: str, between: str) -> None:
    text = f"x = ({between.join(line.replace('{}', one) for one in LINES)}) + rest(of_the_program)"
    (found,) = keys(text)
    assert all(one in found for one in LINES[:-1])
    assert text.endswith("rest(of_the_program)")
    assert "rest" not in found


@pytest.mark.parametrize("line", ['"{}\\n"', "{}", "    {}"])
def test_a_private_key_without_an_end_is_found_as_far_as_it_goes(line: str) -> None:
    text = "\n".join(line.replace("{}", one) for one in LINES[:5]) + "\n\ndef program(): ...\n"
    (found,) = keys(text)
    assert LINES[4] in found
    assert "program" not in found


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow<your key>\n-----END RSA PRIVATE KEY-----\n",
        'if text.startswith("-----BEGIN PRIVATE KEY-----"):\n    return parse_private_key_of_some_kind(text)\n',
        'BEGIN = "-----BEGIN PRIVATE KEY-----"\n'
        + "def a_function_with_a_long_name(and_its_argument):\n    pass\n" * 9
        + 'END = "-----END PRIVATE KEY-----"\n',
        PEM.replace("PRIVATE", "PUBLIC"),
        PEM.replace("RSA PRIVATE KEY", "CERTIFICATE"),
        "-----BEGIN PRIVATE KEY-----\n" + "A" * 64 + "\n-----END PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_private_key_is_left(text: str) -> None:
    assert keys(text) == []


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("postgres://app:sunshine@db.internal:5432/app", "sunshine"),
        ("redis://:Xk9#a@b@cache:6379/0", "Xk9#a@b"),
        ('url = "https://ada:Kd8sPq1z@git.internal/x.git"', "Kd8sPq1z"),
        ("amqp://svc-user:8f%2Fz9@${HOST}/vhost", "8f%2Fz9"),
        ("mongodb+srv://u.v:sun~shine!@cluster0.abc.mongodb.net/?retryWrites=true", "sun~shine!"),
    ],
)
def test_a_password_in_a_url_is_found(text: str, password: str) -> None:
    assert passwords(text) == [password]


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org:8080/a@b", "http://host:80?mail=a@b", "postgres://postgres:postgres@localhost/x",
        "postgres://user:password@localhost", "https://user:pass@host/", "https://ada:sunshine@example.org/",
        "postgres://${USER}:${PASSWORD}@db", "f'postgres://{user}:{password}@{host}'", "https://<user>:<token>@host",
        "ftp://anonymous:***@server", "https://ada@git.internal/x.git", "http://[::1]:8080/x@y",
        "https://user:$TOKEN@github.com/",
    ],
)  # fmt: skip
def test_a_url_without_one_is_left(text: str) -> None:
    assert passwords(text) == []


def test_what_authorizes_a_request_is_found() -> None:
    token = next(canary.value for canary in canaries(2) if canary.rule == "authorization-header")
    basic = base64.b64encode(b"ada:Kd8sPq1zW").decode()
    assert authorizations(f"Authorization: Bearer {token}\n") == [token]
    assert authorizations(f'"authorization": "bearer {token}"') == [token]
    assert authorizations(f"-H 'Authorization: Basic {basic}'") == [basic]


@pytest.mark.parametrize(
    "text",
    [
        "Bearer {token}", "Bearer $TOKEN_OF_THE_SERVICE", "a bearer authentication scheme",
        "Bearer your-token-goes-here",
        "basic configuration-parameters", "Basic " + base64.b64encode(b"user:password").decode(),
    ],
)  # fmt: skip
def test_what_authorizes_nothing_is_left(text: str) -> None:
    assert authorizations(text) == []
