import random
import string

import pytest

from bawn.indexer.secrets.plausible import is_given, is_secret

ALPHABETS = {
    "letters and digits": (string.ascii_letters + string.digits, 20, 0.005),
    "small letters and digits": (string.ascii_lowercase + string.digits, 20, 0.005),
    "hexadecimal": ("0123456789abcdef", 32, 0.002),
    "base64": (string.ascii_letters + string.digits + "+/", 40, 0.001),
    "with signs": (string.ascii_letters + string.digits + "!#$%&*+?@^~", 14, 0.03),
    "capitals and digits": (string.ascii_uppercase + string.digits, 20, 0.005),
}


@pytest.mark.parametrize("name", ALPHABETS)
def test_nearly_every_random_string_is_one(name: str) -> None:
    alphabet, length, missed = ALPHABETS[name]
    generator = random.Random(5)
    drawn = ["".join(generator.choices(alphabet, k=length)) for _ in range(4_000)]
    assert sum(not is_secret(value) for value in drawn) <= missed * len(drawn)


@pytest.mark.parametrize(
    "value",
    [
        "user_password", "application/x-www-form-urlencoded", "getAuthenticationToken", "X-Gitlab-Token",
        "csrfmiddlewaretoken",
        "your-secret-key-here", "MY_SECRET_VALUE", "correct-horse-battery-staple", "https://auth.example.com/oauth2/v1",
        "kubernetes.io/service-account-token", "SecretKeyRef", "oauth2-proxy", "vault:secret/data/app#key", "utf8",
        "internationalization",
        "password123", "test-token-1", "p4ssw0rd", "S3cr3tT0k3n", "admin1234", "foobarbaz42", "swordfish",
        "PBKDF2WithHmacSHA256",
        "2024-01-15T10:00:00Z", "127.0.0.1:5432", "1234567890123456", "org.springframework.security", "HS256",
    ],
)  # fmt: skip
def test_words_are_none(value: str) -> None:
    assert not is_secret(value)


@pytest.mark.parametrize(
    "value",
    [
        "changeme", "change-me-please-9f8a7b", "xxxxxxxxxxxxxxxx", "****************", "<your-api-key>", "${API_KEY}",
        "$API_KEY",
        "{{ secrets.token }}", "%(token)s", "#{ENV['KEY']}", "<%= ENV['X9f8a7bQ'] %>", "{api_key}", "%API_KEY%",
        "@token@",
        "ENC[AES256_GCM,data:Kd8sPq1zW9]", "abcdef0123456789", "0123456789abcdef0123456789abcdef", "deadbeefdeadbeef",
        "a1b2a1b2a1b2a1b2", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "dummy-9f8a7bQz",
        "123e4567-e89b-12d3-a456-426614174000",
        "eyJhbGciOi...", "not-a-real-token-9f8a7bQz", "Kd8sPq1", "",
    ],
)  # fmt: skip
def test_stand_ins_are_none(value: str) -> None:
    assert not is_secret(value)


@pytest.mark.parametrize("value", ["sunshine", "Kd8sPq1zW", "let-me-through", "x7#pq", "correct horse"])
def test_a_password_in_its_place_needs_no_randomness(value: str) -> None:
    assert is_given(value)


@pytest.mark.parametrize(
    "value", ["password", "postgres", "s3cr3t", "admin123", "${PASS}", "<pass>", "changeme", "test"]
)
def test_a_made_up_password_in_its_place_is_none(value: str) -> None:
    assert not is_given(value)
