"""The rule that layers meant for a GPU are on one, or nothing is served.

llama.cpp ignores `n_gpu_layers` in silence where a driver is missing or too old, and computes on the CPU, at a
fiftieth of the speed.
"""

from bawn.contracts.errors import SettingsError
from bawn.model_server.gpu.devices import Hardware

_MENDS = {
    # what cudaGetErrorString says: what helps
    # Also where there is no driver at all.
    "CUDA driver version is insufficient for CUDA runtime version": (
        "load the NVIDIA driver, or update it (`nvidia-smi` shows its version)"
    ),
    "no CUDA-capable device is detected": "see that the GPU is there and given to this host (`nvidia-smi`)",
    "system has unsupported display driver / cuda driver combination": (
        "reboot, so that kernel module and libraries are of one driver"
    ),
    "out of memory": "free the GPU (`nvidia-smi` shows who holds it)",
    "unknown error": "load the module nvidia-uvm (`modprobe nvidia-uvm`)",
}


def no_gpu(hardware: Hardware) -> str | None:
    """One sentence on why no layer can go to a GPU, with the mend; None where one can."""
    if not hardware.for_gpus:
        return "this build of llama.cpp is for the CPU only; install the one with CUDA (the package model-server-cuda)."
    if hardware.gpus and hardware.offloads:
        return None
    said = f"CUDA says: {hardware.reason}" if hardware.reason else "it finds no device"
    mend = _MENDS.get(hardware.reason, "see that `nvidia-smi` works for this user")
    return f"this build of llama.cpp is for GPUs, but no GPU can be used ({said}); {mend}."


def planned_layers(wanted: int | None, hardware: Hardware) -> int:
    """Layers to load on the GPU: as `wanted`, or, where it is None, all in a build for GPUs and none in another.

    Raises:
        SettingsError: layers belong on a GPU and can't go there.
    """
    if wanted == 0 or (wanted is None and not hardware.for_gpus):
        return 0
    why = no_gpu(hardware)
    if why is not None:
        asked = "is not set, which means all" if wanted is None else f"is {wanted}"
        raise SettingsError(f"n_gpu_layers: {asked}, and {why} To serve from the CPU, set n_gpu_layers = 0.")
    return -1 if wanted is None else wanted


def missing_layers(planned: int, offloaded: tuple[int, int] | None, gpu_mib: float) -> str | None:
    """One sentence where, after the load, layers of the plan are not on the GPU.

    `offloaded` is what llama.cpp reported: layers on the GPU, and all there are; `gpu_mib` is what of the weights lies
    in the memory of GPUs.
    """
    if planned == 0:
        return None
    placed, layers = offloaded or (0, 0)
    expected = layers if planned < 0 else min(planned, layers)
    if offloaded is not None and placed == expected and gpu_mib > 0:
        return None
    return (
        f"n_gpu_layers: is {planned}, but llama.cpp put {placed} of {layers} layers and {gpu_mib:.0f} MiB of weights "
        "on the GPU. Nothing is served, since the rest would run on the CPU."
    )
