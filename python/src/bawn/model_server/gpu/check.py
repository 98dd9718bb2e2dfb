"""The whole check of a GPU before anything is served on it, as one sentence for each thing that is wrong."""

import re
import signal
import subprocess
import sys
from typing import Final

import msgspec

from bawn.model_server.gpu.offload import no_gpu
from bawn.model_server.gpu.probe import Findings

TIMEOUT_S: Final = 120.0
"""CUDA's first start on a large host takes some 10 s; one that hangs in the driver never ends."""

_CUDA_ERROR: Final = re.compile(r'"event":"cuda_error".*"reason":"([^"]+)"')
_MENDS: Final = {
    "no kernel image is available for execution on the device": (
        "this build holds no code for the card: see `architectures` in python/llama-cpp.json"
    ),
    "out of memory": "the card's memory is full: `nvidia-smi` shows who holds it",
}


def check_gpu(devices: list[str], *, need_mib: int = 0) -> tuple[list[str], list[str]]:
    """(what is wrong, what is well): sentences. Without `devices` every GPU is checked, and there must be one.

    `need_mib` is what must be free on the checked devices together.
    """
    command = [sys.executable, "-m", "bawn.model_server.gpu.probe", *devices]
    try:
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return [
            f"The GPU does not answer within {TIMEOUT_S:.0f} s: `journalctl -k -g NVRM` may tell why; reboot the host."
        ], []
    if run.returncode != 0:
        return [_death(run.returncode, run.stderr)], []
    return judge(msgspec.json.decode(run.stdout, type=Findings), devices, need_mib=need_mib)


def judge(findings: Findings, devices: list[str], *, need_mib: int = 0) -> tuple[list[str], list[str]]:
    """What the findings say, as in `check_gpu`."""
    hardware = findings.hardware
    if not devices:
        why = no_gpu(hardware)
        if why is not None:
            return [f"{why[0].upper()}{why[1:]}"], []
    wrong = [f"{name}: {failure}" for name, failure in sorted(findings.failures.items())]
    checked = [device for device in hardware.devices if (device.name in devices if devices else device.kind == "GPU")]
    free = sum(device.free_mib for device in checked)
    if free < need_mib:
        wrong.append(
            f"{free} MiB are free on {', '.join(device.name for device in checked) or 'no device'}, "
            f"and the plan needs {need_mib}: `nvidia-smi` shows who holds the rest."
        )
    well = [
        f"{device.name} ({device.description}): computes, {device.free_mib} of {device.total_mib} MiB free."
        for device in checked
        if device.name not in findings.failures
    ]
    return wrong, well


def _death(status: int, stderr: str) -> str:
    """The sentence for a probe that ended without an answer. Its last words are ours and CUDA's: no user's content."""
    device = next(iter(re.findall(r"computing on (\S+)", stderr)[::-1]), None)
    where = f"while computing on {device}" if device else "before a device was used"
    error = _CUDA_ERROR.search(stderr)
    if error:
        said = error[1].strip()
        return f"CUDA failed {where}: {said}; {_MENDS.get(said, '`journalctl -k -g NVRM` may tell why')}."
    if status < 0:
        return f"The check was killed by {signal.Signals(-status).name} {where}: driver and CUDA may not fit together."
    last = (stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"The check failed {where}: {last}"
