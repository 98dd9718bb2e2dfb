"""Memory caps of a host's units, where the machine's kernel gives systemd no memory controller to set them with.

A unit's processes get a group of their own, limited to the unit's MemoryMax, inside the host's.
"""

from support.hosts.machine import Machine


class Caps:
    """Units that are started under their caps, and the most that each of them has had, in bytes."""

    def __init__(self, machine: Machine, *units: str) -> None:
        self._machine = machine
        self._root = machine.memory_group
        self.limits = {unit: int(machine.property_of(unit, "MemoryMax")) for unit in units}
        for unit, limit in self.limits.items():
            group = self._root / unit
            group.mkdir(exist_ok=True)
            (group / "memory.limit_in_bytes").write_text(str(limit), encoding="ascii")

    def restart(self, unit: str) -> None:
        """Restart a unit inside its group, without waiting until it is ready or done."""
        systemd = str(self._machine.leader)
        # What systemd forks begins in the group that systemd is in.
        (self._root / unit / "cgroup.procs").write_text(systemd, encoding="ascii")
        before = self._machine.property_of(unit, "InvocationID")
        self._machine.succeed(f"systemctl restart --no-block {unit}")
        fresh = f'test "$(systemctl show --property=InvocationID --value {unit})" != "{before}"'
        running = f"test $(systemctl show --property=MainPID --value {unit}) != 0"
        self._machine.wait_until_succeeds(f"{fresh} && {running}", timeout=90)
        (self._root / "cgroup.procs").write_text(systemd, encoding="ascii")

    def run(self, unit: str) -> None:
        """Start a unit anew inside its group, and wait until it is ready or done."""
        systemd = str(self._machine.leader)
        (self._root / unit / "cgroup.procs").write_text(systemd, encoding="ascii")
        self._machine.succeed(f"systemctl restart {unit}", timeout=300)
        (self._root / "cgroup.procs").write_text(systemd, encoding="ascii")

    def peak(self, unit: str | None = None) -> int:
        """The most that a unit, or the whole host, has had."""
        group = self._root / unit if unit else self._root
        return int((group / "memory.max_usage_in_bytes").read_text(encoding="ascii"))

    def killed(self, unit: str | None = None) -> int:
        """Processes that the kernel ended for want of memory."""
        group = self._root / unit if unit else self._root
        told = dict(line.split() for line in (group / "memory.oom_control").read_text(encoding="ascii").splitlines())
        return int(told["oom_kill"])
