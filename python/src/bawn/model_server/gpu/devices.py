"""What devices the loaded llama.cpp build can compute on."""

import ctypes
from typing import Literal

import llama_cpp.llama_cpp as llama
import msgspec

from bawn.model_server.engine.native_log import native_log
from bawn.model_server.gpu.ggml import CPU, GPU, INTEGRATED_GPU, ggml

Kind = Literal["CPU", "GPU", "other"]


class Device(msgspec.Struct, frozen=True):
    """A device as llama.cpp names it."""

    name: str
    """e.g. `CUDA0`."""
    description: str
    """What the maker calls it."""
    kind: Kind
    free_mib: int
    total_mib: int


class Hardware(msgspec.Struct, frozen=True):
    """What the build was made for, and what it has found."""

    backends: list[str]
    """e.g. `["CUDA", "CPU"]`: compiled in, whether or not there is a device."""
    devices: list[Device]
    offloads: bool
    """`llama_supports_gpu_offload`: whether layers asked for the GPU would go there."""
    reason: str = ""
    """What CUDA's runtime says where it can't start, from its fixed list of messages."""

    @property
    def for_gpus(self) -> bool:
        """Whether the build was made for GPUs."""
        return any(backend not in {"CPU", "BLAS"} for backend in self.backends)

    @property
    def gpus(self) -> list[Device]:
        """The devices that layers can be given to."""
        return [device for device in self.devices if device.kind == "GPU"]


def hardware() -> Hardware:
    """Ask the loaded libraries; the first call starts CUDA where it is compiled in."""
    log = native_log()  # before anything is asked, so that a refusal of the driver is heard
    llama.llama_backend_init()
    of = ggml()
    registries = [of.ggml_backend_reg_get(at) for at in range(of.ggml_backend_reg_count())]
    return Hardware(
        backends=[of.ggml_backend_reg_name(registry).decode() for registry in registries],
        devices=[_device(of.ggml_backend_dev_get(at)) for at in range(of.ggml_backend_dev_count())],
        offloads=bool(llama.llama_supports_gpu_offload()),
        reason=log.cuda_refusal,
    )


def _device(handle: int) -> Device:
    of = ggml()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    of.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    number = of.ggml_backend_dev_type(handle)
    kinds: dict[int, Kind] = {CPU: "CPU", GPU: "GPU", INTEGRATED_GPU: "GPU"}
    return Device(
        name=of.ggml_backend_dev_name(handle).decode("utf-8", "replace"),
        description=of.ggml_backend_dev_description(handle).decode("utf-8", "replace"),
        kind=kinds.get(number, "other"),
        free_mib=free.value >> 20,
        total_mib=total.value >> 20,
    )
