"""A laptop has the bridge's dependencies and no others."""

import subprocess
import sys

BLOCKED = ("llama_cpp", "tree_sitter", "tantivy", "jinja2", "prometheus_client")
PROGRAM = f"""
import sys
for name in {BLOCKED!r}:
    sys.modules[name] = None  # an import of it fails as if it were not installed
import bawn.cli.doctor
sys.argv = ["bawn", "doctor", "--help"]
from bawn.cli import main
main()
"""


def test_the_doctor_needs_no_extra() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert "Walk the chain" in run.stdout
