import pytest

from bawn.indexer.secrets.tokens import RULES, find_tokens
from support.canaries import Canary, canaries

TOKENS = [canary for canary in canaries(1) if canary.rule in RULES]


def found(text: str) -> list[tuple[str, str]]:
    return [(span.rule, text[span.start : span.end]) for span in find_tokens(text.encode("latin-1"))]


def test_every_rule_has_a_canary() -> None:
    assert {canary.rule for canary in TOKENS} == set(RULES)


def _value(canary: Canary) -> str:
    return canary.value.removeprefix("https://").removeprefix("discord.com")


@pytest.mark.parametrize("canary", TOKENS, ids=lambda canary: canary.value[:10])
@pytest.mark.parametrize(
    "around",
    [
        'x = "{}"',
        "{}",
        "see {}, please",
        "a={}&b=1",
        '"line\\n{}\\n"',
        "?q%3D{}%20",
        '{"a\\u003d{}"}',
        "a/{}/b.txt",
        "'{}'",
    ],
)
def test_a_token_is_found_wherever_it_stands(canary: Canary, around: str) -> None:
    ((rule, value),) = found(around.replace("{}", canary.value))
    assert rule == canary.rule
    assert canary.value.endswith(value)
    assert len(value) >= len(_value(canary))


def test_nearly_all_drawn_tokens_are_found() -> None:
    drawn = [canary for seed in range(200) for canary in canaries(seed) if canary.rule in RULES]
    missed = [canary.rule for canary in drawn if [rule for rule, _ in found(f"x {canary.value} y")] != [canary.rule]]
    assert len(missed) <= len(drawn) / 2_000, missed


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "x" * 36,
        "ghp_" + "0123456789abcdef" * 3,
        "AKIAIOSFODNN7" + "EXAMPLE",
        "sk-proj-your-key-goes-here-" + "a" * 30,
        '<div class="sk-spinner-with-a-wandering-cube-in-the-middle-of-it">',
        "xoxb-not-a-real-token-this-will-not-work",
        "key-" + "deadbeef" * 4,
        "task-1234567890123456789012345678901234567890",
        "npm_config_registry_url_of_the_local_mirror_server",
        "glpat-" + "*" * 20,
        "MAX_NUMBER_OF_OPEN_CONNECTIONS.second.third_part_of_the_name_that_is_long",
        "sha512-" + "Kd8s" * 21 + "==",
        "data:image/png;base64," + "iVBORw0KGgo" * 30,
        "123e4567-e89b-12d3-a456-426614174000",
        "-" * 200,
    ],
)
def test_what_only_resembles_a_token_is_left(text: str) -> None:
    assert found(text) == []
