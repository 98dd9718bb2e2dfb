"""A bound on the memory that this process may take for a while, since what it reads is not trusted."""

import resource
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

MEMORY: Final = 1_000_000_000
"""Bytes of address space that the process which parses may have."""


@contextmanager
def bounded(memory: int) -> Generator[None]:
    """Let the process take `memory` bytes of address space beside what it has; more is a MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = _mapped() + memory
    resource.setrlimit(resource.RLIMIT_AS, (allowed if soft < 0 else min(allowed, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _mapped() -> int:
    """Bytes of this process's address space; where the system has no /proc, what it may have in all."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 as short as can be
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return MEMORY
