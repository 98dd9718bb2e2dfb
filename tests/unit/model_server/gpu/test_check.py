"""`bawn gpu-check` with the build that is installed here, which is for the CPU, and its sentences for others."""

import subprocess
import sys

import llama_cpp.llama_cpp as llama
import msgspec
import pytest

from bawn.model_server.gpu import kernels
from bawn.model_server.gpu.check import check_gpu, judge
from bawn.model_server.gpu.devices import Device, Hardware, hardware
from bawn.model_server.gpu.probe import Findings

CARD = Device(name="CUDA0", description="a card", kind="GPU", free_mib=20000, total_mib=24000)
WITH_CARD = Hardware(backends=["CUDA", "CPU"], devices=[CARD], offloads=True)


def test_the_devices_are_those_of_the_loaded_libraries() -> None:
    found = hardware()
    assert "CPU" in found.backends
    cpu = next(device for device in found.devices if device.kind == "CPU")
    assert cpu.name == "CPU"
    assert 0 < cpu.free_mib <= cpu.total_mib
    assert found.offloads == bool(llama.llama_supports_gpu_offload())


def test_the_cpu_computes_the_test_product() -> None:
    kernels.run_on("CPU")


def test_a_wrong_product_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = kernels._q8_0_weights()
    spoiled = right[:-1] + bytes([right[-1] ^ 0x40])  # one weight of the last row
    monkeypatch.setattr(kernels, "_q8_0_weights", lambda: spoiled)
    with pytest.raises(kernels.KernelError, match="1 of 32 numbers of a test product are wrong"):
        kernels.run_on("CPU")


def test_the_check_of_a_device_that_computes_says_so() -> None:
    wrong, well = check_gpu(["CPU"])
    assert wrong == []
    assert len(well) == 1
    assert well[0].startswith("CPU (")


def test_a_device_that_is_not_there_is_named() -> None:
    wrong, well = check_gpu(["CUDA7"])
    assert len(wrong) == 1
    assert wrong[0].startswith("CUDA7: there is no such device; known: ")
    assert well == []


def test_too_little_memory_is_told_with_both_figures() -> None:
    wrong, _ = judge(Findings(hardware=WITH_CARD), [], need_mib=22000)
    assert wrong == ["20000 MiB are free on CUDA0, and the plan needs 22000: `nvidia-smi` shows who holds the rest."]


def test_a_build_for_the_cpu_is_no_build_for_a_gpu() -> None:
    wrong, well = judge(Findings(hardware=Hardware(backends=["CPU"], devices=[], offloads=False)), [])
    assert wrong == [
        "This build of llama.cpp is for the CPU only; install the one with CUDA (the package model-server-cuda)."
    ]
    assert well == []


def test_a_card_that_miscomputes_is_not_called_well() -> None:
    wrong, well = judge(Findings(hardware=WITH_CARD, failures={"CUDA0": "32 of 32 numbers are wrong."}), [])
    assert wrong == ["CUDA0: 32 of 32 numbers are wrong."]
    assert well == []


_DYING = {
    "no code for the card": (
        "from bawn.model_server.gpu import probe; from bawn.model_server.engine.native_log import native_log;"
        "import logging; logging.getLogger('bawn').addHandler(h := logging.StreamHandler());"
        "h.setFormatter(probe.JsonFormatter()); sys.stderr.write('computing on CUDA0\\n');"
        "log = native_log(); log._take(4, b'CUDA error: no kernel image is available for execution on the device', 0);"
        "log._take(4, b'  current device: 0', 0); os.abort()",
        "CUDA failed while computing on CUDA0: no kernel image is available for execution on the device; "
        "this build holds no code for the card: see `architectures` in python/llama-cpp.json.",
    ),
    "killed": (
        "os.kill(os.getpid(), 11)",
        "The check was killed by SIGSEGV before a device was used: driver and CUDA may not fit together.",
    ),
    "libraries missing": (
        "raise OSError('libcudart.so.12: cannot open shared object file')",
        "The check failed before a device was used: OSError: libcudart.so.12: cannot open shared object file",
    ),
}


@pytest.mark.parametrize("how", _DYING)
def test_a_probe_that_dies_is_told_in_one_sentence(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, sentence = _DYING[how]
    run = subprocess.run

    def dying(command: list[str], **options: object) -> object:
        assert command[1:3] == ["-m", "bawn.model_server.gpu.probe"]
        return run([sys.executable, "-c", f"import os, sys; {code}"], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", dying)
    assert check_gpu([]) == ([sentence], [])


def test_the_command_ends_with_status_1_where_something_is_wrong() -> None:
    command = [sys.executable, "-m", "bawn.cli", "gpu-check"]
    run = subprocess.run([*command, "--device", "CPU"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    run = subprocess.run([*command, "--device", "none"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("bawn gpu-check: none: there is no such device")


def test_findings_survive_the_way_between_the_processes() -> None:
    findings = Findings(hardware=WITH_CARD, failures={"CUDA0": "wrong"})
    assert msgspec.json.decode(msgspec.json.encode(findings), type=Findings) == findings
