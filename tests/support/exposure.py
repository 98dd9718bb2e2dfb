"""What systemd says a unit is exposed to, and what it has beside the sandbox that units of ours start from."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from support.golden import golden_files
from support.nix import ROOT

SYSTEMD: Final = "252"
"""The systemd by whose scores units are judged: another one judges the same unit differently."""

_HARDENING: Final = ROOT / "nixos-modules" / "hardening.nix"
_ADDS_UP: Final = ("IPAddressAllow", "RestrictAddressFamilies")
"""Lists of which each entry opens something; in the other settings any difference counts."""

_UNSET: Final[dict[str, list[str]]] = {"AmbientCapabilities": []}
"""What a setting that a unit leaves out amounts to, where that isn't everything."""


def analyze_program() -> str | None:
    """systemd-analyze, where there is one."""
    return shutil.which("systemd-analyze")


def require_analyze_program() -> str:
    """systemd-analyze, or a skip with the reason."""
    program = analyze_program()
    if program is None:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    return program


def systemd_version(program: str) -> str:
    """First number of its version: `security` judges differently from one to the next."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return told.split()[1]


def installed(folder: Path, name: str) -> Path:
    """The golden unit `name` in `folder`, with its placeholders mapped to programs that exist."""
    text = golden_files()[name]
    for path in set(re.findall(r"@[A-Za-z0-9+._?=-]+@(?:/[^\s\":;]*)?", text)):
        program = folder / "programs" / path.replace("@", "")
        program.parent.mkdir(parents=True, exist_ok=True)
        if not program.exists():
            program.symlink_to("/bin/true")
        text = text.replace(path, str(program))
    unit = folder / "units" / Path(name).name
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text(text, encoding="utf-8")
    return unit


def verified(unit: Path, *, user: bool = False) -> subprocess.CompletedProcess[str]:
    """What `systemd-analyze verify` says about a unit's file, one of a user where said so; or a skip."""
    mode = ["--user"] if user else []
    return subprocess.run(
        [require_analyze_program(), "verify", "--man=no", "--recursive-errors=no", *mode, str(unit)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(unit.parent)},
        check=False,
    )


def exposure(program: str, unit: Path, *, user: bool = False) -> float:
    """Overall exposure level of a unit's file, one of a user where said so: 0 is none, 10 no protection at all."""
    mode = ["--user"] if user else []
    run = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", *mode, str(unit)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(unit.parent)},
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", run.stdout)
    assert found is not None, run.stderr
    return float(found[1])


def sandbox() -> dict[str, list[str]]:
    """`sandbox` of hardening.nix: values by setting."""
    text = _HARDENING.read_text(encoding="utf-8")
    body = text.split("\n  sandbox = {\n", 1)[1].split("\n  };\n", 1)[0]
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^    (\w+) = (\[.*?\]|.*?);$", body, re.MULTILINE | re.DOTALL):
        found[key] = re.findall(r'"(.*?)"', value) if value[0] in '["' else [value]
    return found


def service_settings(text: str) -> dict[str, list[str]]:
    """The `[Service]` section of a unit, where an empty value stands for an empty list."""
    section = text.split("[Service]\n", 1)[1].split("\n[", 1)[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        key, _, value = line.partition("=")
        if value:
            found.setdefault(key, []).append(value)
        else:
            found.setdefault(key, [])
    return found


def relaxations(text: str) -> list[str]:
    """The settings in which a unit is looser than the sandbox, or only different from it."""
    own = service_settings(text)
    loose: list[str] = []
    for key, values in sandbox().items():
        wanted = [value for value in values if value]
        have = own.get(key, [])
        if key in _ADDS_UP:
            # A unit without the setting may speak to everybody.
            if (key not in own and "IPAddressDeny" not in own) or set(have) - set(wanted):
                loose.append(key)
        elif own.get(key, _UNSET.get(key)) != wanted:
            loose.append(key)
    return loose
