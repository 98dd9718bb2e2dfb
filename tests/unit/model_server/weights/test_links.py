"""Which addresses are fetched from, and what a file is called after one."""

import httpx
import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.weights.links import check_hop, file_name, link


@pytest.mark.parametrize(
    "text",
    ["https://weights.example.org/a.gguf", "http://127.0.0.1:8000/a.gguf", "http://localhost/a", "http://[::1]:1/a"],
)
def test_https_and_this_machine_are_fetched_from(text: str) -> None:
    assert str(link(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "http://weights.example.org/a.gguf",
        "ftp://example.org/a",
        "file:///etc/passwd",
        "https://",
        "a.gguf",
        "http://1:x",
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"https:// only|is no URL"):
        link(text)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="holds a password") as error:
        link("https://ada:secret@weights.example.org/a.gguf")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("to", ["http://cdn.example.org/a?key=secret", "http://127.0.0.1/a?key=secret"])
def test_a_public_server_does_not_lead_away_from_tls(to: str) -> None:
    first = link("https://weights.example.org/a.gguf")
    with pytest.raises(SettingsError, match=r"leads to http://.*: weights are fetched over https:// only") as error:
        check_hop(first, httpx.URL(to))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://example.org/repo/resolve/main/A%20b-Q4_K_M.gguf?download=true", "A b-Q4_K_M.gguf"),
        ("https://example.org/x%2Fy.gguf", "y.gguf"),
        ("https://example.org/folder/", ""),
        ("https://example.org", ""),
    ],
)
def test_the_file_has_the_last_name_of_the_path(text: str, name: str) -> None:
    assert file_name(httpx.URL(text)) == name
