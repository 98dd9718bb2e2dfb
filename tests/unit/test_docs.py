"""What the pages under docs/ say is what the files say from which they were written."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from bawn.cli.main import COMMANDS
from cuda.recipe import read_recipe
from support import exposure, security_page
from support.nix import ROOT

PAGES = [ROOT / "README.md", ROOT / "hosts" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_ports_and_units_of_the_security_page_are_those_of_the_golden_files() -> None:
    text = read(security_page.PAGE)
    assert text == security_page.page_with_tables(text), "run `make golden`"


def test_the_security_page_has_a_score_of_every_unit_that_can_have_one() -> None:
    _, units = read(security_page.PAGE).split("## Units")
    scores = re.findall(r"^\| [a-z-]+ \| ([a-z-]+) \| (\d[^|]*|not rated) \|", units, re.MULTILINE)
    assert {"bawn-gateway", "bawn-weights", "bawn-bridge"} <= {unit for unit, _ in scores}
    unrated = {unit for unit, score in scores if score == security_page.NOT_RATED}
    assert unrated == {"tailscaled"}
    assert all(0 < float(score) <= 10 for unit, score in scores if unit not in unrated)


@pytest.mark.parametrize(
    ("page", "steps"),
    [
        ("README.md", ["build .#nixosConfigurations.gateway", "fleet join-key gateway", "fleet join-key ada-laptop"]),
        ("docs/operations.md", ["**Gateway and GPU host**", "fleet join-key gateway", "**A laptop**"]),
    ],
)
def test_ssh_is_open_from_before_the_first_boot_until_an_operator_s_laptop_is_in(page: str, steps: list[str]) -> None:
    text = read(ROOT / page)
    places = [text.index("ssh.public"), *map(text.index, steps), text.rindex("ssh.public")]
    assert places == sorted(places)
    for host in ("gateway", "gpu"):
        assert "    # ssh.public = true;\n" in read(ROOT / "hosts" / host / "default.nix")


def test_a_port_that_the_firewall_opens_shows_in_the_table() -> None:
    rules = "iifname tailscale0 tcp dport { 22, 8700 } accept\n  udp dport { 3478 } accept\n"
    opened = security_page.open_ports(rules)
    assert opened == [("tailnet", "22/tcp"), ("tailnet", "8700/tcp"), ("every network", "3478/udp")]


def test_what_a_unit_has_beside_the_sandbox_is_found() -> None:
    lines = [f"{key}={value}" for key, values in exposure.sandbox().items() for value in values or [""]]
    assert len(lines) > 25
    closed = "[Service]\n" + "\n".join(lines)
    assert exposure.relaxations(closed) == []
    loose = closed.replace("ProtectHome=true", "ProtectHome=read-only") + "\nIPAddressAllow=100.64.0.0/10"
    assert exposure.relaxations(loose) == ["ProtectHome", "IPAddressAllow"]
    silent = closed.replace("\nCapabilityBoundingSet=", "").replace("\nAmbientCapabilities=", "")
    assert exposure.relaxations(silent) == ["CapabilityBoundingSet"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_commands_that_exist(page: Path) -> None:
    named = set(re.findall(r"(?:^|`|\$ |sudo )bawn ([a-z][a-z-]+)", read(page), re.MULTILINE))
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", read(page), flags=re.DOTALL)
    for target in re.findall(r"\]\(([\w./#-]+)\)", prose):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", read(file), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


REPRODUCIBILITY = ROOT / "docs" / "reproducibility.md"


def test_the_inputs_of_the_reproducibility_page_are_those_of_flake_lock() -> None:
    lock = json.loads(read(ROOT / "flake.lock"))["nodes"]
    told = re.findall(
        r"^\| ([\w-]+)(?: \([^)]*\))? \| `(\w{40})` \| `(sha256-\S+)` \|$", read(REPRODUCIBILITY), re.MULTILINE
    )
    assert {name: (rev, hash_) for name, rev, hash_ in told} == {
        name: (lock[name]["locked"]["rev"], lock[name]["locked"]["narHash"]) for name in lock["root"]["inputs"]
    }
    for name, of in {"nixpkgs": "nixos-26.05", "headscale": "v0.29.2"}.items():
        assert lock[name]["original"]["ref"] == of
        assert f"| {name} ({of}" in read(REPRODUCIBILITY)


def test_the_reproducibility_page_has_the_locked_llama_cpp_and_its_flags() -> None:
    text, recipe = read(REPRODUCIBILITY), read_recipe()
    assert f"**llama-cpp-python {recipe.sdist.version}**" in text
    assert f"SHA-256 `{recipe.sdist.sha256}`" in text
    (flags,) = re.findall(r"^`(-D.+)`$", text, re.MULTILINE)
    assert sorted(flags.split()) == sorted(recipe.flags.definitions)
    assert f"CUDA **{recipe.flags.cuda}**" in text
    assert f"by default **{', '.join(recipe.flags.architectures)}**" in text
    minimum = json.loads(read(ROOT / "python" / "llama-cpp.json"))["minimum_driver"]
    assert f"driver **{minimum}** or later" in text


def test_the_reproducibility_page_has_the_kernel_and_the_driver_that_the_module_pins() -> None:
    text, module = read(REPRODUCIBILITY), read(ROOT / "nixos-modules" / "nvidia.nix")
    options = dict(
        re.findall(r"^    (kernel|driverBranch) = mkOption \{.*?default = \"(.*?)\"", module, re.MULTILINE | re.DOTALL)
    )
    assert f"kernel series **{options['kernel']}**" in text
    assert f"nixpkgs' `{options['driverBranch']}`" in text


def test_the_reproducibility_page_names_every_package_that_is_compiled() -> None:
    lock = tomllib.loads(read(ROOT / "python" / "uv.lock"))
    compiled = {package["name"] for package in lock["package"] if not package.get("wheels")} - {"bawn"}
    (told,) = re.findall(r"two sdists, ([\w-]+) and ([\w-]+)\.", read(REPRODUCIBILITY))
    assert set(told) == compiled
