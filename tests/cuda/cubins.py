"""What machine code a library holds, by NVIDIA's own reader."""

import re
import subprocess
from collections import Counter
from pathlib import Path

from cuda.toolkit import Toolkit

_CODE = re.compile(r"\.sm_(\d+[af]?)\.cubin", re.MULTILINE)
_PTX = re.compile(r"\.sm_(\d+[af]?)\.ptx", re.MULTILINE)


def code_in(library: Path, toolkit: Toolkit) -> Counter[str]:
    """Architecture → how many pieces of machine code for it, e.g. `{"89": 120, "120a": 120}`."""
    return Counter(_CODE.findall(_listed("--list-elf", library, toolkit)))


def ptx_in(library: Path, toolkit: Toolkit) -> Counter[str]:
    """The same for PTX, which a driver compiles at run time."""
    return Counter(_PTX.findall(_listed("--list-ptx", library, toolkit)))


def _listed(what: str, library: Path, toolkit: Toolkit) -> str:
    program = toolkit.root / "bin" / "cuobjdump"
    run = subprocess.run([program, what, library], capture_output=True, text=True, check=False)
    # It ends with a status other than 0 where there is nothing to list.
    return run.stdout
