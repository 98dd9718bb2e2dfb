"""What a bench ran on: the machine and the versions of what was measured."""

import importlib.metadata
import os
import platform
from pathlib import Path

import psutil

from bawn.model_server.engine.options import physical_cores


def machine() -> dict[str, str]:
    """Processor, cores, memory and system; nothing that names the machine itself."""
    return {
        "cpu": _cpu(),
        "cores": f"{physical_cores()} physical, {os.cpu_count()} logical",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def version(package: str) -> str:
    """Of an installed package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def load() -> float:
    """Processes that want a core at the same time, averaged over the last minute."""
    return os.getloadavg()[0]
