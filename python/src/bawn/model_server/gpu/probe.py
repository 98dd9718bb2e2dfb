"""The part of the check that may die: asks the devices and runs a kernel on each, in a process of its own.

    python -m bawn.model_server.gpu.probe [DEVICE …]

Prints a `Findings` as JSON. Without a device's name it tries every GPU.
"""

import logging
import sys

import msgspec

from bawn.model_server.gpu.devices import Hardware, hardware
from bawn.model_server.gpu.kernels import KernelError, run_on
from bawn.service.logs import OURS, JsonFormatter


class Findings(msgspec.Struct, frozen=True):
    """What was found."""

    hardware: Hardware
    failures: dict[str, str] = {}
    """Device → what is wrong with its computing."""


def probe(names: list[str]) -> Findings:
    """Ask the hardware, and compute on `names`, or on every GPU."""
    found = hardware()
    known = {device.name for device in found.devices}
    failures: dict[str, str] = {}
    for name in names or [gpu.name for gpu in found.gpus]:
        # Where a kernel kills this process, the one that waits can still say which device it was.
        sys.stderr.write(f"computing on {name}\n")
        sys.stderr.flush()
        if name not in known:
            failures[name] = f"there is no such device; known: {', '.join(sorted(known))}."
            continue
        try:
            run_on(name)
        except KernelError as error:
            failures[name] = f"{error}; what this device computes can't be trusted."
    return Findings(hardware=found, failures=failures)


if __name__ == "__main__":
    # A CUDA error ends this process from within; what the log says of it is all that is left.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.getLogger(OURS).addHandler(handler)
    sys.stdout.buffer.write(msgspec.json.encode(probe(sys.argv[1:])))
