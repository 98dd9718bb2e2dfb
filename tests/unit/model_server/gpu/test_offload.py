"""What is said where layers that belong on a GPU can't go there."""

import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.gpu.devices import Device, Hardware
from bawn.model_server.gpu.offload import missing_layers, no_gpu, planned_layers

_CPU = Device(name="CPU", description="a CPU", kind="CPU", free_mib=8000, total_mib=16000)
_CARD = Device(name="CUDA0", description="a card", kind="GPU", free_mib=20000, total_mib=24000)
FOR_CPU = Hardware(backends=["CPU"], devices=[_CPU], offloads=False)
TOO_OLD = "CUDA driver version is insufficient for CUDA runtime version"
NO_DRIVER = Hardware(backends=["CUDA", "CPU"], devices=[_CPU], offloads=False, reason=TOO_OLD)
WITH_CARD = Hardware(backends=["CUDA", "CPU"], devices=[_CARD, _CPU], offloads=True)


def test_what_says_nothing_runs_where_the_build_is_for() -> None:
    assert planned_layers(None, FOR_CPU) == 0
    assert planned_layers(None, WITH_CARD) == -1


def test_the_cpu_serves_only_where_it_is_told_to() -> None:
    assert planned_layers(0, NO_DRIVER) == 0
    for wanted in (None, -1, 12):
        with pytest.raises(SettingsError) as refused:
            planned_layers(wanted, NO_DRIVER)
        said = str(refused.value)
        assert said.startswith("n_gpu_layers: is ")
        assert TOO_OLD in said
        assert "load the NVIDIA driver, or update it" in said
        assert said.endswith("To serve from the CPU, set n_gpu_layers = 0.")


def test_layers_for_a_gpu_are_refused_by_a_build_for_the_cpu() -> None:
    with pytest.raises(SettingsError, match=r"n_gpu_layers: is -1, and this build of llama\.cpp is for the CPU only"):
        planned_layers(-1, FOR_CPU)


def test_an_unknown_reason_is_passed_on_with_a_general_mend() -> None:
    odd = Hardware(backends=["CUDA", "CPU"], devices=[_CPU], offloads=False, reason="something new")
    assert no_gpu(odd) == (
        "this build of llama.cpp is for GPUs, but no GPU can be used (CUDA says: something new); "
        "see that `nvidia-smi` works for this user."
    )
    assert no_gpu(WITH_CARD) is None


@pytest.mark.parametrize(
    ("planned", "offloaded", "gpu_mib"),
    [(-1, (65, 65), 15000.0), (40, (40, 65), 9000.0), (99, (65, 65), 15000.0), (0, None, 0.0)],
)
def test_a_plan_that_was_kept_is_well(planned: int, offloaded: tuple[int, int] | None, gpu_mib: float) -> None:
    assert missing_layers(planned, offloaded, gpu_mib) is None


@pytest.mark.parametrize(
    ("planned", "offloaded", "gpu_mib"),
    [(-1, (64, 65), 15000.0), (-1, None, 0.0), (40, (39, 65), 9000.0), (-1, (65, 65), 0.0)],
)
def test_layers_that_stayed_on_the_host_are_told(
    planned: int, offloaded: tuple[int, int] | None, gpu_mib: float
) -> None:
    said = missing_layers(planned, offloaded, gpu_mib)
    assert said is not None
    assert "Nothing is served" in said
