import pytest

from bawn.indexer.secrets.files import find_in_file, holds_private_key, is_key_file
from support.canaries import canaries


def found(path: str, text: str) -> list[str]:
    raw = text.encode("latin-1", "replace")
    return [text[span.start : span.end] for span in find_in_file(path, text, raw, raw.lower())]


@pytest.mark.parametrize(
    "path",
    [
        "id_rsa", ".ssh/id_ed25519", "certs/server.p12", "a/KeyStore.JKS", "debug.keystore", ".netrc", "_netrc",
        ".pgpass",
        ".git-credentials", ".htpasswd", "config/master.key", "putty.ppk", "team.kdbx", ".vault-token",
    ],
)  # fmt: skip
def test_key_material_is_known_by_its_name(path: str) -> None:
    assert is_key_file(path)


@pytest.mark.parametrize(
    "path", ["id_rsa.pub", "rsa.py", "docs/keystore.md", "netrc.py", "jks/readme.txt", "my_id_rsa_test.go"]
)
def test_what_only_names_key_material_is_none(path: str) -> None:
    assert not is_key_file(path)


def test_a_file_is_there_for_its_private_key_when_it_begins_with_it_or_says_so() -> None:
    pem = next(canary.value for canary in canaries(2) if canary.rule == "private-key")
    assert holds_private_key("deploy_key", f"\n{pem}\n")
    assert holds_private_key("server.pem", f"subject=x\n-----BEGIN CERTIFICATE-----\nMII\n{pem}\n")
    assert holds_private_key("x", "PuTTY-User-Key-File-3: ssh-ed25519\n")
    assert not holds_private_key("test_tls.py", f'KEY = """{pem}"""\n')
    assert not holds_private_key("server.pem", "-----BEGIN CERTIFICATE-----\nMII\n")


@pytest.mark.parametrize(
    "path", [".env", "deploy/.env.production", "app/prod.env", ".env.local", ".envrc", ".flaskenv"]
)
def test_every_value_of_an_environment_file_is_one(path: str) -> None:
    text = (
        "A=1\nexport B=\"two words\"\n# OLD=sunshine\n# prose = is kept\nC=\nD=''\nE = ${A}\nF: yaml\n\n"
        'G="first\nsecond" # why\nH=\'x\'\r\nI="unended\nJ="x" y\n'
    )
    assert found(path, text) == [
        "1",
        "two words",
        "sunshine",
        "${A}",
        "yaml",
        "first\nsecond",
        "x",
        '"unended',
        '"x" y',
    ]


@pytest.mark.parametrize(
    "path", [".env.example", "sample.env", ".env.template", "src/.env.ts", "env.py", "environment"]
)
def test_an_example_of_an_environment_file_is_none(path: str) -> None:
    assert found(path, "PASSWORD=sunshine\n") == []


def test_short_secrets_of_files_for_credentials_are_found() -> None:
    npmrc = (
        "//registry.internal/:_authToken=abcd-1234\n_auth=c3Vu\nalways-auth=true\nemail=a@b\n"
        "//r/:_authToken=${NPM_TOKEN}\n"
    )
    assert found(".npmrc", npmrc) == ["abcd-1234", "c3Vu"]
    assert found("home/.pypirc", "[pypi]\nusername = ada\npassword = sunshine\n") == ["sunshine"]
    assert found("home/.docker/config.json", '{"auths": {"r": {"auth": "YWRhOnN1bg=="}}}') == ["YWRhOnN1bg=="]
    assert found("deploy/prod.tfvars", 'db_password = "sunshine"\nregion = "eu-west-1"\n') == ["sunshine"]
    assert found("config/secrets.yml", "production:\n  api_token: sun-shine\n  x: <%= ENV['X'] %>\n") == ["sun-shine"]
    assert found("config/settings.yml", "production:\n  api_token: sun-shine\n") == []


def test_the_data_of_a_kubernetes_secret_is_found_and_other_data_is_not() -> None:
    text = (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\ndata:\n  greeting: c3Vuc2hpbmU=\n  # note\n  file: |\n"
        "    first\n    second\n\nstringData:\n  plain: sun shine\n  later: '{{ .Values.x }}'\ntype: Opaque\n---\n"
        "kind: ConfigMap\ndata:\n  greeting: hello\n"
    )
    assert found("k8s/app.yaml", text) == ["c3Vuc2hpbmU=", "# note", "first", "second", "sun shine"]
    assert found("k8s/app.txt", text) == []
