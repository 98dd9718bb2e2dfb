"""Make this project's Python environment on a machine that has Python, git and a C/C++ compiler, and nothing else.

    python3 python/bootstrap.py [--ports 8000 8700 8080]

Checks first, so that what is missing is said before anything slow starts; then brings uv, where it is missing, into
`.bawn/` of the project, and lets it install what `uv.lock` names. Standard library only: nothing is installed yet.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OWN_UV = ROOT / ".bawn" / "uv" / "uv"

UV_VERSION = "0.13.9"
OLDEST_UV = (0, 9)  # the first that knows every setting of pyproject.toml
UV_WHEELS = {
    # (system, machine, libc): (platform tag, sha256) as PyPI publishes them
    ("Linux", "x86_64", "glibc"): (
        "manylinux_2_17_x86_64.manylinux2014_x86_64",
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    ),
    ("Linux", "x86_64", "musl"): (
        "musllinux_1_1_x86_64",
        "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
    ),
    ("Linux", "aarch64", "glibc"): (
        "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ),
    ("Darwin", "arm64", ""): ("macosx_11_0_arm64", "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63"),
    ("Darwin", "x86_64", ""): (
        "macosx_10_12_x86_64",
        "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
    ),
}

# What GCC 12 makes of llama.cpp's code for AMX, which processors that have it run, dies of an illegal instruction: the
# configuration of the tiles is optimized away (https://github.com/ggml-org/llama.cpp/pull/26954).
WITHOUT_AMX = ("-mno-amx-tile", "-mno-amx-int8", "-mno-amx-bf16")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ports", type=int, nargs="*", default=[], help="loopback ports that must be free")
    options = arguments.parse_args()
    problems = missing() + [p for port in options.ports if (p := port_in_use(port))]
    for problem in problems:
        print(f"bawn: {problem}", file=sys.stderr)
    if problems:
        return 1
    try:
        uv = find_uv() or bring_uv()
        return sync(uv)
    except (OSError, urllib.error.URLError, ValueError) as error:
        print(f"bawn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def missing() -> list[str]:
    """What this machine lacks, each with its mend."""
    problems: list[str] = []
    if sys.version_info < (3, 11):
        problems.append(f"Python is {platform.python_version()}, and 3.11 or newer is needed: apt-get install python3.")
    if shutil.which("git") is None:
        problems.append("git is missing, which the index of repositories needs: apt-get install git.")
    if not (HERE / ".venv" / ".complete").exists():
        cc, cxx = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")
        if not (compiles(cc, ".c") and compiles(cxx, ".cpp")):
            problems.append(
                "A C and C++ compiler is missing, which llama.cpp is compiled with: apt-get install build-essential."
            )
    return problems


def compiles(compiler: str, suffix: str, flags: Iterable[str] = ()) -> bool:
    """Whether the compiler is there, knows the flags and links a program with its standard library."""
    if shutil.which(compiler.split()[0]) is None:
        return False
    header = "cstdio" if suffix == ".cpp" else "stdio.h"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"probe{suffix}"
        source.write_text(f"#include <{header}>\nint main(void) {{ return 0; }}\n", encoding="utf-8")
        run = subprocess.run(
            [*compiler.split(), *flags, str(source), "-o", str(Path(folder) / "probe")],
            capture_output=True,
            check=False,
        )
        return run.returncode == 0


def port_in_use(port: int) -> str | None:
    """One sentence when something listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return f"Port {port} on 127.0.0.1 is in use: stop what listens there, or choose other ports (make help)."
    return None


def find_uv() -> str | None:
    """A uv that is new enough, from PATH or of our own."""
    for candidate in (shutil.which("uv"), str(OWN_UV) if OWN_UV.exists() else None):
        if candidate is None:
            continue
        run = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        found = re.match(r"uv (\d+)\.(\d+)", run.stdout)
        if found and (int(found[1]), int(found[2])) >= OLDEST_UV:
            return candidate
    return None


def bring_uv() -> str:
    """Download the pinned uv from the package index into the project's own folder, and check its hash."""
    libc = ("glibc" if platform.libc_ver()[0] == "glibc" else "musl") if sys.platform == "linux" else ""
    wheel = UV_WHEELS.get((platform.system(), platform.machine(), libc))
    if wheel is None:
        raise ValueError(
            f"There is no uv for {platform.system()} on {platform.machine()} that this project knows: "
            "install uv yourself (https://docs.astral.sh/uv) and try again."
        )
    tag, digest = wheel
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    print(f"Bringing uv {UV_VERSION} into {OWN_UV.parent.relative_to(ROOT)}/ …", flush=True)
    name = f"uv-{UV_VERSION}-py3-none-{tag}.whl"
    page = fetch(f"{index.rstrip('/')}/uv/", {"Accept": "application/vnd.pypi.simple.v1+json"})
    try:
        url = next(file["url"] for file in json.loads(page)["files"] if file["filename"] == name)
    except (StopIteration, ValueError, KeyError) as error:
        raise ValueError(f"{index} does not offer {name}: install uv yourself and try again.") from error
    data = fetch(url, {})
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{name} from {index} is not the file that was published: its hash differs. Nothing was kept.")
    OWN_UV.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        program = archive.read(f"uv-{UV_VERSION}.data/scripts/uv")
    part = OWN_UV.with_suffix(".part")
    part.write_bytes(program)
    part.chmod(0o755)
    part.rename(OWN_UV)
    return str(OWN_UV)


def fetch(url: str, headers: dict[str, str]) -> bytes:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return answer.read()
    except urllib.error.URLError as error:
        raise ValueError(
            f"{url} can't be reached ({error.reason}): is there a network, or a proxy to be set?"
        ) from error


def sync(uv: str) -> int:
    """Install what `uv.lock` names; show how far the long compilation is."""
    mark = HERE / ".venv" / ".complete"
    lock = hashlib.sha256((HERE / "uv.lock").read_bytes() + (HERE / "pyproject.toml").read_bytes()).hexdigest()
    if mark.exists() and mark.read_text(encoding="utf-8") == lock:
        return 0
    print("Installing what uv.lock names; llama.cpp is compiled once, some 4 to 8 minutes on two cores.", flush=True)
    command = [uv, "sync", "--frozen", "--extra", "all", "--python", sys.executable, "--verbose", "--no-progress"]
    process = subprocess.Popen(
        command,
        cwd=HERE,
        env=os.environ | compiler_flags(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    tail: list[str] = []
    progress = Progress()
    for line in process.stdout:
        tail = [*tail[-400:], line]
        progress.line(line)
    status = process.wait()
    progress.close()
    if status == 0:
        mark.write_text(lock, encoding="utf-8")
        return 0
    worth = [line for line in tail if not line.startswith(("DEBUG", "TRACE"))] or tail
    sys.stderr.write("".join(worth[-40:]))
    print(f"bawn: uv sync failed with status {status}; its last words are above.", file=sys.stderr)
    return 1


def compiler_flags() -> dict[str, str]:
    """The environment in which llama.cpp is compiled for this machine's processor."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return {}
    flags = {}
    for variable, compiler, suffix in (("CFLAGS", "CC", ".c"), ("CXXFLAGS", "CXX", ".cpp")):
        if compiles(os.environ.get(compiler, "cc" if suffix == ".c" else "c++"), suffix, WITHOUT_AMX):
            flags[variable] = " ".join((*os.environ.get(variable, "").split(), *WITHOUT_AMX))
    return flags


class Progress:
    """One line that is written over on a terminal; elsewhere one line every 15 seconds."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._began = time.monotonic()
        self._last = 0.0
        self._what = "resolving"

    def line(self, line: str) -> None:
        step = re.search(r"^DEBUG \[(\d+)/(\d+)\]", line)
        if step:
            self._what = f"compiling llama.cpp, {step[1]} of {step[2]}"
        elif line.startswith("DEBUG") and "Downloading" in line:
            self._what = "downloading packages"
        elif re.match(r"(Prepared|Installed|Built) ", line.strip()):
            self._what = line.strip()
        now = time.monotonic()
        if now - self._last < (0.2 if self._terminal else 15):
            return
        self._last = now
        minutes, seconds = divmod(int(now - self._began), 60)
        text = f"  {minutes}:{seconds:02d}  {self._what}"
        sys.stdout.write(f"\r\x1b[K{text[:78]}" if self._terminal else text + "\n")
        sys.stdout.flush()

    def close(self) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        sys.stdout.write(
            f"{chr(13) + chr(27) + '[K' if self._terminal else ''}  installed in {minutes}:{seconds:02d}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
