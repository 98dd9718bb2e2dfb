"""What is read from llama.cpp's log: levels as its header numbers them, and sizes."""

from pathlib import Path

import llama_cpp.llama_cpp as llama
import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.engine.native_log import NativeLog, native_log
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.runtime import Runtime
from support import tiny_gguf


@pytest.fixture
def log() -> NativeLog:
    """A log that nothing but the test writes to."""
    llama_log = native_log()
    fresh = NativeLog.__new__(NativeLog)
    fresh.__dict__.update(llama_log.__dict__, warnings=0, errors=0, last_error="", cuda_refusal="")
    fresh.forget_sizes()
    return fresh


def test_errors_are_kept_and_warnings_are_not_taken_for_them(log: NativeLog) -> None:
    log._take(3, b"only a warning\n", None)
    log._take(2, b"said by the way\n", None)
    log._take(4, b"it is broken\n", None)
    assert (log.warnings, log.errors, log.last_error) == (1, 1, "it is broken")


def test_the_reason_of_cuda_is_kept_apart(log: NativeLog) -> None:
    log._take(4, b"ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected\n", None)
    log._take(4, b"something else\n", None)
    assert log.cuda_refusal == "no CUDA-capable device is detected"


def test_buffers_of_the_gpu_are_told_from_those_of_the_host(log: NativeLog) -> None:
    for line in (
        b"load_tensors: offloaded 65/65 layers to GPU\n",
        b"load_tensors:   CPU_Mapped model buffer size =   682.03 MiB\n",
        b"load_tensors:    CUDA_Host model buffer size =     1.50 MiB\n",
        b"load_tensors:        CUDA0 model buffer size = 14000.25 MiB\n",
        b"load_tensors:        CUDA1 model buffer size =  1000.25 MiB\n",
    ):
        log._take(2, line, None)
    assert log.offloaded == (65, 65)
    assert log.gpu_mib("model") == 15000.5
    assert log.mib("model") == pytest.approx(15684.03)


def test_a_load_reports_its_buffers(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "tiny.gguf")
    runtime = Runtime(EngineOptions(model=model, n_ctx=512, threads=1))
    runtime.close()
    sizes = native_log()
    assert sizes.mib("model") > 0
    assert sizes.mib("KV") == pytest.approx(512 * 2 * 2 * 64 * 2 / 2**20, abs=0.01)
    assert sizes.gpu_mib("model") == 0


def test_a_model_is_not_loaded_where_its_layers_belong_on_a_gpu_and_there_is_none(tmp_path: Path) -> None:
    if llama.llama_supports_gpu_offload():
        pytest.skip("this llama.cpp can offload: tests/cuda has its tests")
    model = tiny_gguf.write(tmp_path / "tiny.gguf")
    with pytest.raises(SettingsError, match=r"n_gpu_layers: is -1, and .* set n_gpu_layers = 0"):
        Runtime(EngineOptions(model=model, threads=1, n_gpu_layers=-1))
