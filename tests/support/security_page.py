"""The tables of docs/security.md: ports and units of every host, from the golden files."""

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from support import exposure
from support.golden import golden_files
from support.nix import ROOT

PAGE: Final = ROOT / "docs" / "security.md"
HOSTS: Final = ("headscale", "gateway", "gpu", "laptop")
VARIANTS: Final = {
    "gpu": ("gpu-with-download",),
    "gateway": ("gateway-with-forge", "gateway-with-embedder", "gateway-with-meilisearch"),
}
"""Host → it, set up differently, as the golden files have it; of its units those are listed that the host has not, or
has with another sandbox."""
NOT_RATED: Final = "not rated"

_LISTENS: Final = {
    # port: (what listens there, who may come)
    "22/tcp": ("sshd, keys only", "operators"),
    "443/tcp": ("Headscale, and the relay in it", "every node, from anywhere"),
    "3478/udp": ("Headscale's STUN", "every node, from anywhere"),
    "8000/tcp": ("model server", "the gateway"),
    "8700/tcp": ("gateway", "laptops"),
}

_ALL: Final = "all"
_GPU: Final = {
    "PrivateDevices": "the NVIDIA devices, and no others",
    "ProcSubset": "the driver's libraries read /proc/driver/nvidia and /proc/devices",
    "MemoryDenyWriteExecute": "they compile kernels at run time",
    "SystemCallFilter": "they bind memory and threads to the GPU's NUMA node",
}
REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    # unit: {settings in which it is looser than the sandbox: why}
    "bawn-fetch": {
        "UMask": "the gateway, in the same group, reads what is made of it",
        "IPAddressDeny IPAddressAllow": "wherever the forges are: public, in the team's network, on the tailnet",
    },
    "bawn-embedder": {
        "UMask": "the gateway, in the same group, reads the vectors",
        "IPAddressAllow": "the tailnet: it calls model servers",
    },
    "bawn-gateway": {"IPAddressAllow": "the tailnet: laptops call it, and it calls model servers"},
    "bawn-health-gate": {"IPAddressAllow": "the tailnet: it asks the service at this host's own address"},
    "bawn-indexer": {
        "UMask": "the gateway, in the same group, reads the index",
        "IPAddressAllow": "the address of loopback at which Meilisearch listens, in place of all of loopback",
    },
    "bawn-leave-generation": {
        _ALL: "no sandbox: it does what `nixos-rebuild switch` does, when the health gate has failed"
    },
    "bawn-gpu-preflight": _GPU,
    "bawn-search-register": {
        "IPAddressAllow": "the address of loopback at which Meilisearch listens, in place of all of loopback"
    },
    "bawn-model-server": {**_GPU, "IPAddressAllow": "the tailnet: the gateway calls it"},
    "bawn-weights": {
        "UMask": "another user serves the weights, which are no secret",
        "IPAddressDeny IPAddressAllow": "the internet, but neither the tailnet nor a cloud's metadata service",
    },
    "bawn-bridge": {_ALL: "a part of the sandbox: a user's systemd has no mounts and no firewall of its own to give"},
    "headscale": {
        "CapabilityBoundingSet AmbientCapabilities SystemCallFilter": "it binds port 443 and gives away its socket",
        "PrivateUsers": "these capabilities count outside a user namespace only",
        "RestrictAddressFamilies IPAddressDeny IPAddressAllow": "the internet calls it",
    },
    "meilisearch": {"ProcSubset": "it sizes itself by the memory limit of its cgroup"},
    "prometheus-node-exporter": {
        "PrivateUsers ProtectProc ProcSubset": "it counts processes, and reads the host's figures",
        "ProtectClock": "its clock's too",
        "RestrictAddressFamilies": "netlink, for figures of the network",
        "SystemCallFilter SystemCallErrorNumber": "nixpkgs sets none",
    },
    "searx": {"IPAddressDeny IPAddressAllow": "the internet, but neither the tailnet nor a cloud's metadata service"},
    "searx-init": {"PrivateUsers": "its runtime folder belongs to the user of the service"},
    "sshd": {_ALL: "no sandbox: it makes the operators' sessions"},
    "tailscaled": {
        _ALL: "Tailscale's own unit, of which only our additions are here: it makes the interface and its routes"
    },
    "tailscaled-autoconnect": {"PrivateUsers": "tailscaled asks who is at the other end of its socket"},
}


def page_with_tables(text: str) -> str:
    """The page with its tables made anew.

    Where systemd-analyze is missing or of another version, the scores stay what they are.
    """
    text = _between(text, "ports", ports_table())
    return _between(text, "units", units_table(_measured() or _written(text)))


def ports_table() -> str:
    """Open ports, as the firewalls of the golden files have them."""
    rows = ["| host | on | port | what listens | who may come |", "|---|---|---|---|---|"]
    for host in HOSTS:
        opened = open_ports(golden_files()[f"{host}/firewall.nft"])
        for network, port in opened:
            rows.append(f"| {host} | {network} | {port} | {' | '.join(_LISTENS[port])} |")
        if not opened:
            rows.append(f"| {host} | every network | none | nothing | nobody |")
    return "\n".join(rows)


def open_ports(rules: str) -> list[tuple[str, str]]:
    """(network, port) of each rule that lets new connections in."""
    found: list[tuple[str, str]] = []
    pattern = r"^ *(?:iifname (\S+) )?(tcp|udp) dport \{ ([0-9, ]+) \} accept$"
    for interface, protocol, ports in re.findall(pattern, rules, re.MULTILINE):
        network = "tailnet" if interface == "tailscale0" else interface or "every network"
        found += [(network, f"{port}/{protocol}") for port in ports.split(", ")]
    return found


def units_table(score: Callable[[str], str]) -> str:
    """Units of ours, and those of nixpkgs on which they stand; `score` gives that of a golden file."""
    rows = ["| host | unit | exposure | runs as | what it has beside the sandbox, and why |", "|---|---|---|---|---|"]
    for host in (folder for name in HOSTS for folder in (name, *VARIANTS.get(name, ()))):
        for name, text in golden_files().items():
            folder, _, rest = name.partition("/")
            if folder != host or not name.endswith(".service"):
                continue
            if host in HOSTS or not any(_alike(text, golden_files().get(f"{other}/{rest}")) for other in HOSTS):
                unit = Path(name).stem
                rows.append(f"| {host} | {unit} | {score(name)} | {_user(name, text)} | {_reasons(unit, text)} |")
    return "\n".join(rows)


def _alike(text: str, other: str | None) -> bool:
    return other is not None and exposure.relaxations(text) == exposure.relaxations(other)


def _reasons(unit: str, text: str) -> str:
    loose = exposure.relaxations(text)
    told = REASONS.get(unit, {})
    if _ALL in told:
        return told[_ALL]
    unexplained = set(loose) - set(" ".join(told).split())
    assert not unexplained, f"{unit}: why {', '.join(sorted(unexplained))}? Say it in {__name__}.REASONS."
    parts = [
        f"{', '.join(f'`{key}`' for key in keys.split() if key in loose)}: {why}"
        for keys, why in told.items()
        if set(keys.split()) & set(loose)
    ]
    return "; ".join(parts) or "nothing"


def _user(name: str, text: str) -> str:
    settings = exposure.service_settings(text)
    if "/user/" in name:
        return "the laptop's user"
    if settings.get("DynamicUser") == ["true"]:
        return "a user made at its start"
    return settings.get("User", ["root"])[0]


def _measured() -> Callable[[str], str] | None:
    program = exposure.analyze_program()
    if program is None or exposure.systemd_version(program) != exposure.SYSTEMD:
        return None

    def score(name: str) -> str:
        # `security` knows whole units only.
        if "ExecStart=" not in golden_files()[name]:
            return NOT_RATED
        with tempfile.TemporaryDirectory() as folder:
            unit = exposure.installed(Path(folder), name)
            return f"{exposure.exposure(program, unit, user='/user/' in name):.1f}"

    return score


def _written(text: str) -> Callable[[str], str]:
    rows = dict(re.findall(r"^\| ([a-z-]+ \| [a-z-]+) \| ([^|]+) \|", text, re.MULTILINE))
    return lambda name: rows.get(f"{name.partition('/')[0]} | {Path(name).stem}", "?")


def _between(text: str, name: str, table: str) -> str:
    begin, end = f"<!-- {name}: made by `make golden` -->\n\n", f"\n\n<!-- end of {name} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{table}{end}{after}"


def main() -> None:
    """Write the tables anew; needs no Nix."""
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
