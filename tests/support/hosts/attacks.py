"""What somebody would try who has taken over a service: `attacks.py FILE…` prints {attack: "done" or the refusal}.

It runs in the place of a unit's program, inside the unit's sandbox. The files are what it tries to read.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)


def syscall(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def write(path: str) -> None:
    Path(path).write_text("owned\n", encoding="utf-8")
    Path(path).unlink()


def mount_something() -> None:
    syscall(libc.mount(b"tmpfs", b"/mnt", b"tmpfs", 0, None))
    libc.umount(b"/mnt")


def load_module() -> None:
    syscall(libc.init_module(b"\0" * 64, 64, b""))


def new_user_namespace() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0 if libc.unshare(0x10000000) == 0 else ctypes.get_errno())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))


def writable_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def set_user_id_file() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shell"
        file.touch()
        file.chmod(0o4755)


def gain_privileges() -> None:
    if libc.prctl(39, 0, 0, 0, 0) == 1:  # PR_GET_NO_NEW_PRIVS
        raise PermissionError(errno.EPERM, "no_new_privs is set")


def see_another_process() -> None:
    Path("/proc/1/cmdline").read_bytes()


def dump_memory() -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0:
        raise PermissionError(errno.EPERM, "RLIMIT_CORE is 0")


def listen(port: int) -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", port))


def connect(address: str, port: int) -> None:
    socket.create_connection((address, port), timeout=3).close()


def open_socket(family: int, kind: int, protocol: int = 0) -> None:
    socket.socket(family, kind, protocol).close()


def read(path: str) -> None:
    Path(path).read_bytes()


def attacks(outside: str, files: list[str]) -> dict[str, Callable[[], None]]:
    return {
        "write to /etc": lambda: write("/etc/owned"),
        "write to /usr": lambda: write("/usr/local/owned"),
        "look into a home": lambda: read("/root/private"),
        **{f"read {path}": lambda path=path: read(path) for path in files},
        "mount": mount_something,
        "load a kernel module": load_module,
        "make a user namespace": new_user_namespace,
        "map writable code": writable_code,
        "make a set-user-ID file": set_user_id_file,
        "gain privileges": gain_privileges,
        "change the host's name": lambda: socket.sethostname(socket.gethostname()),
        "real-time priority": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "signal systemd": lambda: os.kill(1, 0),
        "see another process": see_another_process,
        "open a device": lambda: os.close(os.open("/dev/net/tun", os.O_RDWR)),
        "leave a core dump": dump_memory,
        "open a raw socket": lambda: open_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "open a packet socket": lambda: open_socket(socket.AF_PACKET, socket.SOCK_RAW),
        "listen on another port": lambda: listen(31337),
        "connect out": lambda: connect(outside, 9),
    }


def outcome(attack: Callable[[], None]) -> str:
    try:
        attack()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "done"


if __name__ == "__main__":
    print("attacks:" + json.dumps({n: outcome(a) for n, a in attacks(sys.argv[1], sys.argv[2:]).items()}), flush=True)
