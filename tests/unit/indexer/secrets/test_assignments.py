import pytest

from bawn.indexer.secrets.assignments import find_assigned
from support.canaries import canaries

VALUE = next(canary.value for canary in canaries(3) if canary.rule == "assigned-secret")


def found(text: str, *, whole: bool = False, any_value: bool = False) -> list[str]:
    raw = text.encode("latin-1", "replace")
    spans = find_assigned(text, raw, raw.lower(), whole=whole, any_value=any_value)
    return sorted({text[span.start : span.end] for span in spans})


@pytest.mark.parametrize(
    "form",
    [
        'password = "{}"', "PASSWORD='{}'", "password: {}", "db_password_prod: '{}'", '"apiKey": "{}",',
        'api-key = `{}`',
        'String clientSecret = "{}";', 'const TOKEN: &str = "{}";', 'val token: String = "{}"',
        'password: str | None = "{}"',
        'char password[] = "{}";', 'self.secret_key = b"{}"', 'password := "{}"', "'secret' => '{}',",
        'os.environ["API_TOKEN"] = "{}"',
        'getenv("API_TOKEN", "{}")', '("password", "{}")', 'with_token("{}")', 'if token == "{}":', "export API_KEY={}",
        "ENV SECRET={}", "--password={}", "--password {}", "--auth-token '{}'", "<password>{}</password>",
        '<add key="ApiKey" value="{}"/>', "- name: DB_PASSWORD\n  value: {}", "?access_token={}&x=1", 'password "{}"',
        '"source": ["password = \\"{}\\"\\n"]', "AccountName=x;AccountKey={};EndpointSuffix=y", 'user.pass = "{}"',
        'private_key =\n    "{}"', "the API key: {}", 'session_key="{}"', "PrivateKey = {}", "signingKeyBase64: {}",
        'passphrase="{}"', 'DB_PWD="{}"', 'credentials="{}"', "psk={}",
    ],
)  # fmt: skip
def test_a_value_with_a_secret_s_name_is_found(form: str) -> None:
    assert found(form.replace("{}", VALUE)) == [VALUE]


@pytest.mark.parametrize(
    "text",
    [
        "token = get_token()", "token = self._token", 'token = response["access_token"]',
        "password = input('Password: ')",
        'secret_key = os.environ["SECRET_KEY"]', "api_key: ${{ secrets.API_KEY }}", "password = %(password)s",
        'passwordField = "loginForm.password2"', 'token_url = "https://auth.internal/oauth2/token?x=8f9aKd8sPq1z"',
        f'next_token = "{VALUE}"', f'primary_key = "{VALUE}"', f'public_key = "{VALUE}"', f'cache_key = "{VALUE}"',
        f'password_hash = "{VALUE}"', f'token_type = "{VALUE}"', f'should_pass("{VALUE}")', f'bypass = "{VALUE}"',
        f'compass = "{VALUE}"',
        'secret_name = "projects/x/secrets/y"', 'token: "123e4567-e89b-12d3-a456-426614174000"',
        "tokens = tokenizer(text)",
        'password = "Enter your password"', 'api_key = "<API_KEY>"', 'api_key = "your-api-key"', "max_tokens=1024",
        'PASSWORD_REGEX = r"^(?=.*[a-z])(?=.*[A-Z]).{8,}$"', 'integrity = "sha512-8f9aKd8sPq1zW8f9aKd8sPq1zW"',
    ],
)  # fmt: skip
def test_what_is_no_secret_is_left(text: str) -> None:
    assert found(text) == []


def test_in_configuration_a_value_goes_on_to_the_next_space() -> None:
    assert found("password=Kd8&sP(q1zW7)x\nuser=x", whole=True) == ["Kd8&sP(q1zW7)x"]


def test_a_value_with_the_other_quote_or_an_escaped_one_in_it_is_found_whole() -> None:
    assert found('password = "Kd8\'sPq1zW9x"') == ["Kd8'sPq1zW9x"]
    assert found('password = "Kd8\\"sPq1zW9x"') == ['Kd8\\"sPq1zW9x']


def test_where_only_secrets_are_any_value_is_one() -> None:
    text = "password: sunshine\ntoken: ${TOKEN}\nuser: ada\nsecret: changeme\n"
    assert found(text) == []
    assert found(text, any_value=True) == ["sunshine"]
