"""The same build on a GPU, where there is one."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bawn.model_server.settings import default_model_path
from cuda.serving import serving
from support import tiny_gguf


@pytest.fixture(autouse=True)
def _only_with_a_gpu(gpu: bool) -> None:
    if not gpu:
        pytest.skip("there is no NVIDIA GPU here (/dev/nvidiactl): kernels were compiled and read, and not run")


def test_every_card_computes_rightly(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bawn.cli", "gpu-check"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    print(f"\n{run.stdout.strip()}")


async def test_known_tokens_come_from_the_card(environment: dict[str, str], tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "tiny.gguf", successors=tiny_gguf.says(b"gpu"))
    async with (
        serving(environment, tmp_path, model, n_gpu_layers=-1) as url,
        httpx.AsyncClient() as client,
    ):
        body = {"model": "tiny", "prompt": "x\n", "max_tokens": 8, "temperature": 0}
        answer = (await client.post(f"{url}/v1/completions", json=body)).json()
    assert answer["choices"][0]["text"] == "gpu"


@pytest.mark.parametrize("kv_type", ["f16", "bf16", "q8_0", "q4_0"])
async def test_a_real_model_generates_with_every_type_of_cache(
    environment: dict[str, str], tmp_path: Path, kv_type: str
) -> None:
    model = default_model_path()
    assert model is not None, "the dependency group `demo` carries the model"
    settings = {"n_gpu_layers": -1, "kv_type": kv_type, "n_ctx": 2048}
    async with (
        serving(environment, tmp_path, model, **settings) as url,
        httpx.AsyncClient(timeout=60) as client,
    ):
        body = {
            "model": "tiny",
            "prompt": "The capital of France is",
            "max_tokens": 12,
            "temperature": 0,
        }
        answer = (await client.post(f"{url}/v1/completions", json=body)).json()
    assert "Paris" in answer["choices"][0]["text"]
