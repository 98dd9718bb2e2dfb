"""A host in systemd-nspawn, driven as the NixOS test driver drives its machines."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

_BOOT_S: Final = 60.0
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a unit's sandbox needs to be real in here: BPF for its IP and port rules, the rest for its own namespaces.
_CAPABILITIES: Final = "CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN,CAP_NET_RAW"


class Machine:
    """A host: a writable layer of its own over a tree, in a network namespace.

    Method names, arguments and meanings are those of the NixOS test driver, so that `tests/scenarios` runs on both.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        tree: Path,
        *,
        namespace: str,
        binds: Sequence[tuple[Path, str]] = (),
        memory_bytes: int | None = None,
        cpus: str | None = None,
    ) -> None:
        """Lay the host's file system out at `root`; it is booted by `start`.

        Args:
            name: its host name.
            folder: where the layer and the console's log are kept.
            tree: the read-only layer.
            namespace: path of its network namespace.
            binds: folders and files of this machine that it sees read-only, and where.
            memory_bytes: hard limit of everything that runs in it.
            cpus: CPUs of this machine that it may use, as `taskset` takes them; None: all.
        """
        self.name = name
        self.root = folder / "root"
        self.console = folder / "console.log"
        self._namespace = namespace
        self._binds = list(binds)
        self._cpus = cpus
        self._memory = memory_bytes
        # A group of the host's own in each hierarchy that its systemd writes to: else all hosts would share their
        # units' groups, and with them what is allowed and who is killed.
        groups = {kind: top / f"bawn-{os.getpid()}-{name}" for kind, top in control_groups().items()}
        self._groups = {kind: group for kind, group in groups.items() if kind != "memory" or memory_bytes}
        self._launcher: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._stderr = ""
        """What the last command wrote there, for error messages."""
        for part in ("upper", "work", "root"):
            (folder / part).mkdir(parents=True)
        layers = f"lowerdir={tree},upperdir={folder / 'upper'},workdir={folder / 'work'}"
        _call("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        self.write("/etc/hostname", f"{name}\n")
        self.write("/etc/machine-id", "")
        self.mask("systemd-remount-fs.service")

    # Files, before the host is started or while it runs.

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Write a file of the host."""
        at = self.root / path.lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.unlink(missing_ok=True)
        at.write_bytes(text.encode() if isinstance(text, str) else text)
        at.chmod(mode)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        at = self.root / path.lstrip("/")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.unlink(missing_ok=True)
        at.symlink_to(target)

    def bind(self, source: Path, target: str) -> None:
        """Let the host see a folder or file of this machine read-only, from its next start on."""
        self._binds.append((source, target))

    def mask(self, unit: str) -> None:
        """Let a unit not be started by anything."""
        self.link(f"/etc/systemd/system/{unit}", "/dev/null")

    # The driver's interface.

    def start(self) -> None:
        """Boot, and wait until systemd starts the services; `wait_for_unit` waits for one of them."""
        assert self._launcher is None, f"{self.name} runs"
        capabilities = f"--capability={_CAPABILITIES}"
        command = [
            *(["taskset", "--cpu-list", self._cpus] if self._cpus else []),
            *("unshare", "--mount", "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"),
            *(f"--machine={self.name}", f"--directory={self.root}", f"--network-namespace-path={self._namespace}"),
            *("--console=pipe", "--resolv-conf=off", "--timezone=off", "--kill-signal=SIGRTMIN+3"),
            *("--system-call-filter=bpf", capabilities, "--bind=/dev/net/tun"),
            *(f"--bind-ro={source}:{target}" for source, target in self._binds),
        ]
        enter = self._entering()
        with self.console.open("ab") as log:
            self._launcher = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                preexec_fn=enter,
            )
        self._wait(lambda: self._running() is not None, _BOOT_S, "is not started by systemd-nspawn")
        self.wait_until_succeeds("systemctl is-active basic.target", _BOOT_S)

    def shutdown(self) -> None:
        """Power off as an operator does."""
        self._end(signal.SIGTERM)

    def crash(self) -> None:
        """Cut the power: every process of the host is killed, at once."""
        os.kill(self.leader, signal.SIGKILL)  # the kernel kills all others of its namespace
        self._end(signal.SIGTERM)

    def reboot(self) -> None:
        """Shut down and boot."""
        self.shutdown()
        self.start()

    def execute(self, command: str, timeout: float | None = 900) -> tuple[int, str]:
        """Exit status and standard output of a shell command."""
        done = _piped(self.argv("bash", "-c", f"set -euo pipefail; {command}"), timeout)
        self._stderr = done.stderr
        return done.returncode, done.stdout

    def succeed(self, *commands: str, timeout: float | None = None) -> str:
        """Output of the commands, which must succeed."""
        outputs = ""
        for command in commands:
            status, output = self.execute(command, timeout or 900)
            assert status == 0, f"{self.name}: `{command}` failed with status {status}:\n{output}{self._stderr}"
            outputs += output
        return outputs

    def fail(self, *commands: str, timeout: float | None = None) -> str:
        """Output of the commands, which must fail."""
        outputs = ""
        for command in commands:
            status, output = self.execute(command, timeout or 900)
            assert status != 0, f"{self.name}: `{command}` should fail, and printed:\n{output}"
            outputs += output
        return outputs

    def wait_until_succeeds(self, command: str, timeout: float = 900) -> str:
        """Output of the command, once it succeeds."""
        seen = [(1, "")]

        def works() -> bool:
            seen[0] = self.execute(command, timeout)
            return seen[0][0] == 0

        self._wait(works, timeout, f"`{command}` does not succeed", seen)
        return seen[0][1]

    def wait_until_fails(self, command: str, timeout: float = 900) -> str:
        """Output of the command, once it fails."""
        seen = [(0, "")]

        def works() -> bool:
            seen[0] = self.execute(command, timeout)
            return seen[0][0] != 0

        self._wait(works, timeout, f"`{command}` does not fail", seen)
        return seen[0][1]

    def wait_for_unit(self, unit: str, user: str | None = None, timeout: float = 900) -> None:
        """Wait until a unit is active; a failed one is an error at once."""
        where = f"--user --machine={user}@" if user else ""

        def active() -> bool:
            state = self.execute(f"systemctl {where} show --property=ActiveState --value {unit}")[1].strip()
            assert state != "failed", f"{self.name}: {unit} has failed:\n{self._last_words(unit)}"
            return state == "active"

        self._wait(active, timeout, f"{unit} does not become active")

    def wait_for_open_port(self, port: int, addr: str = "localhost", timeout: float = 900) -> None:
        """Wait until something accepts connections."""
        self.wait_until_succeeds(f"exec 3<>/dev/tcp/{addr}/{port}", timeout)

    def wait_for_closed_port(self, port: int, addr: str = "localhost", timeout: float = 900) -> None:
        """Wait until nothing accepts connections."""
        self.wait_until_fails(f"exec 3<>/dev/tcp/{addr}/{port}", timeout)

    def systemctl(self, arguments: str, user: str | None = None) -> tuple[int, str]:
        """Status and output of a systemctl command."""
        where = f"--user --machine={user}@ " if user else ""
        return self.execute(f"systemctl {where}{arguments}")

    # What the driver has no word for.

    def argv(self, *command: str) -> list[str]:
        """The command line, for this machine, of a command in the host."""
        clean = ("env", "--ignore-environment", f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8")
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        return ["nsenter", f"--target={self.leader}", *spaces, "--", *clean, *command]

    def journal(self, unit: str | None = None) -> str:
        """What a unit, or the whole host, has written to the journal."""
        of = f"--unit={shlex.quote(unit)}" if unit else ""
        return self.execute(f"journalctl --no-pager --output=cat {of}")[1]

    def property_of(self, unit: str, name: str) -> str:
        """A property of a unit, as systemd has it."""
        return self.succeed(f"systemctl show --property={name} --value {unit}").strip()

    def outer_pid(self, unit: str) -> int:
        """The main process of a unit, as this machine numbers it."""
        inner = self.property_of(unit, "MainPID")
        assert inner != "0", f"{self.name}: {unit} has no main process:\n{self._last_words(unit)}"
        space = Path(f"/proc/{self.leader}/ns/pid").readlink()
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if folder.name.isdigit() and (folder / "ns" / "pid").readlink() == space:
                    status = (folder / "status").read_text(encoding="utf-8")
                    if next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1] == inner:
                        return int(folder.name)
        raise AssertionError(f"{self.name}: process {inner} of {unit} is gone")

    @property
    def runs(self) -> bool:
        """Whether it is started."""
        return self._launcher is not None

    @property
    def leader(self) -> int:
        """The host's systemd, as this machine numbers it."""
        pid = self._running()
        assert pid is not None, f"{self.name} does not run"
        return pid

    @property
    def memory_group(self) -> Path:
        """The control group of everything that runs in the host, where it has a limit."""
        return self._groups["memory"]

    def close(self) -> None:
        """End the host, and unmount its file system."""
        if self._launcher is not None:
            self.crash()
        _call("umount", self.root)
        for group in self._groups.values():
            # What was killed leaves its group a moment later.
            self._wait(lambda group=group: _removed(group), 20, f"{group} is not empty")
        shutil.rmtree(self.root.parent, ignore_errors=True)

    def _entering(self) -> Callable[[], None]:
        """What puts the child into the host's control groups, which its descendants inherit."""
        for group in self._groups.values():
            group.mkdir(exist_ok=True)
        if self._memory is not None:
            (self.memory_group / "memory.limit_in_bytes").write_text(str(self._memory), encoding="ascii")
        tasks = [group / "cgroup.procs" for group in self._groups.values()]

        def enter() -> None:
            for file in tasks:
                file.write_text("0", encoding="ascii")

        return enter

    def _running(self) -> int | None:
        """`leader`, or None where the host has not come so far."""
        if self._pid is None and self._launcher is not None:
            assert self._launcher.poll() is None, f"{self.name} has ended:\n{self._console_tail()}"
            found = subprocess.run(
                ["pgrep", "--exact", "--parent", str(self._launcher.pid), "systemd"],
                capture_output=True,
                text=True,
                check=False,
            )
            self._pid = int(found.stdout.split()[0]) if found.stdout else None
        return self._pid

    def _end(self, with_signal: signal.Signals) -> None:
        launcher, self._launcher, self._pid = self._launcher, None, None
        assert launcher is not None, f"{self.name} does not run"
        if launcher.poll() is None:
            launcher.send_signal(with_signal)
        try:
            launcher.wait(timeout=90)
        except subprocess.TimeoutExpired:
            launcher.kill()
            raise

    def _wait(
        self, condition: Callable[[], bool], within_s: float, what: str, seen: list[tuple[int, str]] | None = None
    ) -> None:
        pause, until = threading.Event(), time.monotonic() + within_s
        while not condition():
            last = f"; last: {seen[0][1][-2000:]}{self._stderr[-2000:]}" if seen else ""
            late = time.monotonic() > until
            assert not late, f"{self.name}: {what} within {within_s:.0f} s{last}\n{self._last_words()}"
            pause.wait(0.1)

    def _last_words(self, unit: str | None = None) -> str:
        if self._pid is None:
            return self._console_tail()
        of = f"--unit={shlex.quote(unit)}" if unit else "--priority=notice"
        return _piped(self.argv("journalctl", "--no-pager", "--lines=25", "--output=short", of), 20).stdout

    def _console_tail(self) -> str:
        return self.console.read_text(encoding="utf-8", errors="replace")[-3000:]


def _removed(group: Path) -> bool:
    if group.exists():
        for folder in sorted((*group.rglob("*/"), group), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
    return not group.exists()


def control_groups() -> dict[str, Path]:
    """Hierarchies of this machine: where units have their groups (`units`, and `named` for older kernels), `memory`."""
    found = {}
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found["units"] = Path(folder)
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            found["named"] = Path(folder)
        elif kind == "cgroup" and "memory" in options.split(","):
            found["memory"] = Path(folder)
    return found


def _piped(command: Sequence[str], timeout_s: float | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def _call(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
