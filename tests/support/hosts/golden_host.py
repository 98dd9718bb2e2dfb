"""Lay what the evaluation gives a host, as the golden files have it, over the tree that hosts start from."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from support.golden import GOLDEN, golden_files
from support.hosts import tree
from support.hosts.machine import Machine

STORE: Final = "/opt/store"
"""Stands for the Nix store: `@name@` of a golden file is `/opt/store/name`."""
BAWN: Final = "/opt/bawn"
HERE: Final = Path(__file__).parent
"""Folder of the programs that are run inside hosts."""

_OF_DEBIAN: Final = (
    *("bash", "coreutils", "curl", "envsubst", "gawk", "git", "gnugrep", "gnused", "jq", "systemd", "util-linux"),
)
"""Packages of nixpkgs whose programs are Debian's here."""
_OF_OURS: Final = ("bawn-bridge", "bawn-gateway", "bawn-indexer", "bawn-model-server", "bawn-model-server-cuda")
_PLACEHOLDER: Final = re.compile(r"@([A-Za-z0-9+._?=-]+)@")
_NOT_PATHS: Final = re.compile(r"X-Reload-Triggers-|X-Restart-Triggers-|^tailnet$|^MASTER_KEY$")
_OF_OTHERS: Final = {"headscale": "headscale.yaml", "meilisearch": "config.toml", "searx": "settings.yml"}
"""Settings that are no service's of ours: where they lie in the store."""

_PROGRAM: Final = f"""#!{BAWN}/env/bin/python
import sys
from bawn.cli import main
sys.exit(main())
"""


def binds() -> list[tuple[Path, str]]:
    """What every host sees of this machine: the sources and the packages of uv.lock."""
    return [
        (tree.sources(), f"{BAWN}/src"),
        (tree.packages(), f"{BAWN}/env/lib/python{tree.PYTHON}/site-packages"),
    ]


FLEET: Final = GOLDEN / "fleet" / "fleet.json"
"""The example fleet."""


def lay(
    machine: Machine,
    host: str,
    *,
    node: str,
    fleet: Path = FLEET,
    settings: Mapping[str, Mapping[str, Any]] = {},
    programs: Mapping[str, str] = {},
    without: Sequence[str] = (),
) -> None:
    """Install the golden files of `host` on a machine that isn't started yet.

    Args:
        machine: where to.
        host: folder of the golden files.
        node: the node of the fleet that it is, whose settings are rendered.
        fleet: the fleet's file.
        settings: service → what goes on top of its settings, as its option `settings` would.
        programs: package of nixpkgs → folder of the host whose `bin` has its programs.
        without: units that are left out, of nixpkgs' for the most part.
    """
    files = {
        name.removeprefix(f"{host}/"): text for name, text in golden_files().items() if name.startswith(f"{host}/")
    }
    environment(machine)
    known = dict.fromkeys(_OF_DEBIAN, "/usr") | dict.fromkeys(_OF_OURS, BAWN) | dict(programs)
    for name, target in known.items():
        machine.link(f"{STORE}/{name}", target)

    names = set(known)
    for name, text in files.items():
        kind, _, rest = name.rpartition("/")
        if kind == "files":
            _install_text(machine, rest, text)
            names.add(rest)
        elif kind == "settings":
            service, source = Path(rest).stem, json.loads(text)
            source["settings"] |= settings.get(service, {})
            names.add(_install_settings(machine, service, source, fleet, node))
    machine.write("/etc/nftables.conf", files["firewall.nft"])
    _enable(machine, "nftables.service", ["sysinit.target"], of="/usr/lib/systemd/system")
    for name, at in {"sysusers.conf": "/etc/sysusers.d", "tmpfiles.conf": "/etc/tmpfiles.d"}.items():
        if name in files:
            machine.write(f"{at}/bawn.conf", mapped(files[name]))
    if "sysusers.conf" in files:
        _inside(machine, "systemd-sysusers", "/etc/sysusers.d/bawn.conf")

    for name, text in files.items():
        unit = Path(name).name
        if unit in without or not re.fullmatch(r"(user/|nixpkgs/)?[a-z-]+(@[^/]+)?\.(service|path|timer)", name):
            continue
        unknown = {key for key in _PLACEHOLDER.findall(text) if not _NOT_PATHS.search(key)} - names
        _install_unit(machine, unit, mapped(text), unknown, user=name.startswith("user/"))


def bawn(*arguments: str | Path) -> str:
    """Output of a command of ours, run on this machine."""
    command = [sys.executable, "-m", "bawn.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def override(machine: Machine, unit: str, text: str) -> None:
    """Change a unit by a drop-in, for what a test needs shorter or different."""
    machine.write(f"/etc/systemd/system/{unit}.d/test.conf", text)


def mapped(text: str) -> str:
    """The text of a golden file as a host has it, with its store paths."""
    return _PLACEHOLDER.sub(lambda found: found[0] if _NOT_PATHS.search(found[1]) else f"{STORE}/{found[1]}", text)


def environment(machine: Machine) -> None:
    """A virtual environment over the packages, and the program."""
    machine.write(f"{BAWN}/env/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\n")
    machine.link(f"{BAWN}/env/bin/python", f"/usr/bin/python{tree.PYTHON}")
    machine.write(f"/usr/lib/python{tree.PYTHON}/sitecustomize.py", f"import sys\nsys.path.append('{BAWN}/src')\n")
    machine.write(f"{BAWN}/bin/bawn", _PROGRAM, mode=0o755)
    machine.link("/usr/local/bin/bawn", f"{BAWN}/bin/bawn")
    # What NixOS has in these places, for the gate that notes which generation was ready.
    machine.write(f"{STORE}/system/nixos-version", "of the golden files\n")
    machine.write(
        "/etc/tmpfiles.d/nixos.conf", f"d /nix/var/nix/gcroots\nL+ /run/current-system - - - - {STORE}/system\n"
    )
    machine.link("/usr/local/bin/bawn-keys", f"{STORE}/bawn-keys/bin/bawn-keys")


def _install_text(machine: Machine, name: str, text: str) -> None:
    if not text.startswith("#!"):
        machine.write(f"{STORE}/{name}", mapped(text))
        return
    program = name.removeprefix("unit-script-")
    machine.write(f"{STORE}/{name}/bin/{program}", mapped(text), mode=0o755)


def _install_settings(machine: Machine, service: str, source: dict[str, Any], fleet: Path, node: str) -> str:
    """The settings file, made as the derivation makes it: what the fleet renders, what goes on top, the filter."""
    if service in _OF_OTHERS:
        plain = _without_nulls(source["settings"])
        text = json.dumps(plain, indent=2)  # which is YAML, too
        if _OF_OTHERS[service].endswith(".toml"):
            text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items())
        machine.write(f"{STORE}/{_OF_OTHERS[service]}", text)
        if service == "headscale":
            machine.write("/etc/headscale/config.yaml", text)
        return _OF_OTHERS[service]
    bawn("fleet", "render", fleet, "--node", node, "--out", machine.root / "opt" / "rendered")
    machine.write("/opt/rendered/overlay.json", json.dumps(source["settings"]))
    whole = f"reduce .[] as $part ({{}}; . * $part) | {source['filter']}"
    parts = (f"/opt/rendered/{service}.json", "/opt/rendered/overlay.json")
    name = f"bawn-{service}.json"
    machine.write(f"{STORE}/{name}", _inside(machine, "jq", "--slurp", "--sort-keys", whole, *parts))
    return name


def _install_unit(machine: Machine, name: str, text: str, unknown: set[str], *, user: bool) -> None:
    folder = "/etc/systemd/user" if user else "/etc/systemd/system"
    if unknown:
        # As on the host: a program that isn't there fails when it is started, and the failure says which.
        machine.write(f"{folder}/{name}.d/absent.conf", f"# not on this machine: {', '.join(sorted(unknown))}\n")
    if name == "tailscaled.service":
        # NixOS has only additions to the unit that the package ships.
        machine.write(f"{folder}/{name}.d/nixos.conf", text)
    else:
        machine.write(f"{folder}/{name}", text)
    wanted = re.findall(r"^WantedBy=(.+)$", text, re.MULTILINE)
    required = re.findall(r"^RequiredBy=(.+)$", text, re.MULTILINE)
    _enable(machine, name, wanted, of=folder, where=folder)
    _enable(machine, name, required, of=folder, where=folder, kind="requires")


def _enable(
    machine: Machine,
    unit: str,
    targets: Sequence[str],
    *,
    of: str,
    where: str = "/etc/systemd/system",
    kind: str = "wants",
) -> None:
    for target in " ".join(targets).split():
        machine.link(f"{where}/{target}.{kind}/{unit}", f"{of}/{unit}")


def _inside(machine: Machine, *command: str) -> str:
    done = subprocess.run(["chroot", str(machine.root), *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value
