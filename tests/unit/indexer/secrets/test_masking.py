import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.indexer.secrets.masking import RULES, mask, mask_path
from support.canaries import canaries

CANARIES = canaries(4)
PATHS = st.sampled_from(
    ["app.py", "notes.md", "values.yaml", "app.properties", ".env", ".npmrc", "secrets.yml", "x.ipynb"]
)
PIECES = st.one_of(
    st.sampled_from([canary.text for canary in CANARIES]),
    st.sampled_from(
        ["\n", " ", '"', "'", "\\", "\\n", "password = ", "TOKEN=", "key: ", "://", "@", "-----BEGIN ", "é", "İ", "界"]
    ),
    st.text(max_size=20),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


def test_every_rule_has_a_canary() -> None:
    assert {canary.rule for canary in CANARIES} == set(RULES)


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: f"{canary.rule}-{canary.text[:8]!r}")
def test_a_secret_is_masked_and_named_by_its_rule_and_line(canary) -> None:
    text = f"first line\n{canary.text}\nlast line\n"
    masked, findings = mask(text, canary.path or "notes.txt")
    assert canary.value not in masked
    assert masked.startswith("first line\n")
    assert masked.endswith("\nlast line\n")
    assert f"<masked:{canary.rule}>" in masked
    (finding,) = findings
    assert finding.rule == canary.rule
    assert finding.line == 2 + canary.context.partition("{}")[0].count("\n")


def test_places_before_and_between_secrets_stay_as_they_are() -> None:
    one, other = (canary.value for canary in CANARIES if canary.rule == "github-token")
    masked, findings = mask(f"é界İ {one}\n\nü{other}ß\n{one}", "a.txt")
    assert masked == "é界İ <masked:github-token>\n\nü<masked:github-token>ß\n<masked:github-token>"
    assert [finding.line for finding in findings] == [1, 3, 4]


def test_of_several_rules_the_one_that_says_most_names_a_place() -> None:
    token = next(canary.value for canary in CANARIES if canary.rule == "npm-token")
    assert mask(f"TOKEN={token}", ".env")[0] == "TOKEN=<masked:npm-token>"
    assert (
        mask(f"url: https://ada:{token}@host.internal/", "a.yaml")[0]
        == "url: https://ada:<masked:npm-token>@host.internal/"
    )


def test_a_key_of_many_lines_leaves_as_many_behind() -> None:
    pem = next(canary.value for canary in CANARIES if canary.rule == "private-key")
    masked, _ = mask(f"a\n{pem}\nb\n", "a.py")
    assert masked == "a\n<masked:private-key>" + "\n" * pem.count("\n") + "\nb\n"


@given(TEXTS, PATHS)
def test_a_masked_text_has_as_many_lines(text: str, path: str) -> None:
    masked, findings = mask(text, path)
    assert masked.count("\n") == text.count("\n")
    assert (masked == text) == (not findings)
    assert all(1 <= finding.line <= text.count("\n") + 1 for finding in findings)
    assert findings == sorted(findings, key=lambda finding: finding.line)


@given(TEXTS, PATHS)
def test_a_masked_text_has_no_secret_left(text: str, path: str) -> None:
    masked, _ = mask(text, path)
    assert mask(masked, path) == (masked, [])


@given(st.text())
def test_a_token_in_a_path_is_masked_and_nothing_else(path: str) -> None:
    token = next(canary.value for canary in CANARIES if canary.rule == "npm-token")
    assert mask_path(f"{path}/{token}.txt") == f"{mask_path(path)}/<masked:npm-token>.txt"


def test_no_text_takes_longer_than_others_of_its_size() -> None:
    """Steps, not seconds: a quadratic expression would not come to its end here."""
    for piece in ("token=", "password='", '"', "://a:", "eyJ", "-----BEGIN PRIVATE KEY-----\n", "a" * 19 + ".",
    "A=\"\\\"", "key" * 3,
                  "--a_", "bearer ", "x_" * 10, "SG.", "kind: Secret\ndata:\n  a: ", "MII", "\\",
                  "A" * 64 + "\n"):  # fmt: skip
        text = piece * (100_000 // len(piece))
        for path in ("a.txt", ".env", "secrets.yml"):
            masked, _ = mask(text, path)
            assert masked.count("\n") == text.count("\n")
