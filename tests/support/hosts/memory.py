"""Memory caps of a host's units, where the machine's kernel gives systemd no memory controller to set them with.

Each unit's processes are put into a group of their own, limited to the unit's MemoryMax, inside the host's.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from support.hosts.machine import Machine


class Caps:
    """Peaks of units, in bytes, while their caps are enforced."""

    def __init__(self, machine: Machine, units: list[str]) -> None:
        self._root = machine.memory_group
        self.limits = {unit: int(machine.property_of(unit, "MemoryMax")) for unit in units}

    @contextlib.contextmanager
    def enforced(self) -> Iterator[None]:
        """Keep the units in their groups while the block runs."""
        for unit, limit in self.limits.items():
            group = self._root / unit
            group.mkdir(exist_ok=True)
            (group / "memory.limit_in_bytes").write_text(str(limit), encoding="ascii")
            # What a process took before it came here counts here.
            (group / "memory.move_charge_at_immigrate").write_text("3", encoding="ascii")
        stop = threading.Event()
        thread = threading.Thread(target=self._keep, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def peak(self, unit: str | None = None) -> int:
        """The most that a unit, or the whole host, has had."""
        group = self._root / unit if unit else self._root
        return int((group / "memory.max_usage_in_bytes").read_text(encoding="ascii"))

    def killed(self, unit: str | None = None) -> int:
        """Processes that the kernel ended for want of memory."""
        group = self._root / unit if unit else self._root
        told = dict(line.split() for line in (group / "memory.oom_control").read_text(encoding="ascii").splitlines())
        return int(told["oom_kill"])

    def _keep(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            for process in (self._root / "cgroup.procs").read_text(encoding="ascii").split():
                with contextlib.suppress(OSError):
                    path = Path(f"/proc/{process}/cgroup").read_text(encoding="ascii")
                    unit = next((unit for unit in self.limits if f"/{unit}" in path), None)
                    if unit is not None:
                        (self._root / unit / "cgroup.procs").write_text(process, encoding="ascii")
