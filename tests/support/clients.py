"""The real coding assistants, installed once from the pinned lock beside the tests that drive them."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
LOCK = TESTS / "clients" / "package-lock.json"
CACHE = TESTS.parent / ".bawn" / "clients"


def node_modules() -> Path:
    """The folder with the installed clients.

    Skips the test where npm is not there, or can't reach its registry.
    """
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing, which brings OpenCode and Continue: install Node.js 20 or newer")
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    mark = CACHE / ".complete"
    if not mark.exists() or mark.read_text(encoding="utf-8") != digest:
        CACHE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(LOCK.with_name(name), CACHE / name)
        # Their install scripts download programs; what the tests need is in the packages.
        run = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=CACHE,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if run.returncode != 0:
            pytest.skip(f"npm ci failed: {run.stderr.strip().splitlines()[-1]}")
        mark.write_text(digest, encoding="utf-8")
    return CACHE / "node_modules"


def opencode() -> list[str]:
    """The command line of OpenCode's own program."""
    program = node_modules() / "opencode-linux-x64" / "bin" / "opencode"
    if not program.exists():
        pytest.skip("OpenCode's package for this machine is not in the lock's Linux x86-64 set")
    return [str(program)]


def continue_cli() -> list[str]:
    """The command line of Continue's CLI."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is missing, which Continue's CLI runs on: install Node.js 20 or newer")
    return [node, str(node_modules() / "@continuedev" / "cli" / "dist" / "cn.js")]
