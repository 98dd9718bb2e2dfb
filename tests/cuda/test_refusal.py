"""A build for GPUs on a machine without one: everything says why, and nothing computes on the CPU unless told to."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cuda.serving import serving
from support import tiny_gguf
from support.ports import free_port

REASON = "this build of llama.cpp is for GPUs, but no GPU can be used (CUDA says: "


@pytest.fixture(autouse=True)
def _only_without_a_gpu(gpu: bool) -> None:
    if gpu:
        pytest.skip("this machine has a GPU: nothing is refused")


def _bawn(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bawn.cli", *arguments]
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_check_refuses_with_the_reason_that_cuda_gives(
    environment: dict[str, str],
) -> None:
    run = _bawn(environment, "gpu-check")
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith(
        "bawn gpu-check: This build of llama.cpp is for GPUs, but no GPU can be used (CUDA says: "
    )
    assert len(run.stderr.splitlines()) == 1


def test_its_kernels_for_the_cpu_compute_rightly(environment: dict[str, str]) -> None:
    run = _bawn(environment, "gpu-check", "--device", "CPU")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("layers", [None, -1, 1])
def test_the_server_refuses_rather_than_serve_from_the_cpu(
    environment: dict[str, str], tmp_path: Path, layers: int | None
) -> None:
    model = tiny_gguf.write(tmp_path / "tiny.gguf")
    settings = tmp_path / "settings.toml"
    settings.write_text("" if layers is None else f"n_gpu_layers = {layers}\n", encoding="utf-8")
    run = _bawn(
        environment,
        "model-server",
        "--settings",
        str(settings),
        "--model",
        str(model),
        "--port",
        str(free_port()),
    )
    assert run.returncode != 0
    last = run.stderr.splitlines()[-1]
    assert last.startswith("bawn: n_gpu_layers: is ")
    assert REASON in last
    assert last.endswith("To serve from the CPU, set n_gpu_layers = 0.")


async def test_the_server_serves_from_the_cpu_where_it_is_told_to(environment: dict[str, str], tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "tiny.gguf", successors=tiny_gguf.says(b"cpu"))
    async with (
        serving(environment, tmp_path, model, n_gpu_layers=0) as url,
        httpx.AsyncClient() as client,
    ):
        body = {"model": "tiny", "prompt": "x\n", "max_tokens": 8, "temperature": 0}
        answer = (await client.post(f"{url}/v1/completions", json=body)).json()
    assert answer["choices"][0]["text"] == "cpu"
