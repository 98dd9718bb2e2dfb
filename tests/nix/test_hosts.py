"""The hosts of the flake: what they refuse, what their units say, which ports they open, what the manual says."""

import re

import pytest

from support.golden import OPTIONS, golden_files, rendered_files, rendered_options
from support.nix import NIX_TESTS, evaluate, run

pytestmark = pytest.mark.timeout(600)

HOSTS = ("headscale", "gateway", "gpu", "laptop")


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_evaluates(host: str) -> None:
    path = evaluate(f"flake.nixosConfigurations.{host}.config.system.build.toplevel.drvPath")
    assert path.endswith(".drv")


def test_golden_files_are_what_evaluation_gives() -> None:
    rendered, golden = rendered_files(), golden_files()
    assert set(golden) == set(rendered), "run `make golden`"
    stale = [name for name, text in rendered.items() if golden[name] != text]
    assert not stale, "run `make golden` and look at the difference"


def test_the_option_manual_is_what_the_modules_say() -> None:
    assert OPTIONS.read_text(encoding="utf-8") == rendered_options(), "run `make golden`"


def test_every_option_has_a_type_and_a_description_and_one_that_can_be_set_has_an_example() -> None:
    options = evaluate(f"import {NIX_TESTS}/options.nix")
    assert len(options) > 50
    assert not [o["name"] for o in options if not o["type"] or not o["description"]]
    assert not [o["name"] for o in options if o["example"] is None and not o["readOnly"]]


OPEN = {
    # Laptop to gateway:8700, gateway to GPU:8000, everybody to headscale, which is also where an operator's SSH comes
    # in; on the other servers SSH comes over the tailnet, since the example fleet has a person with `ssh`.
    "headscale": {"all": ([22, 443], [3478]), "tailscale0": ([], [])},
    "gateway": {"all": ([], []), "tailscale0": ([22, 8700], [])},
    "gpu": {"all": ([], []), "tailscale0": ([22, 8000], [])},
    "laptop": {"all": ([], []), "tailscale0": ([], [])},
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_opens_the_ports_of_its_role_and_no_other(host: str) -> None:
    firewall = evaluate(
        f"let f = flake.nixosConfigurations.{host}.config.networking.firewall; in {{"
        " inherit (f) enable allowedTCPPorts allowedUDPPorts allowedTCPPortRanges allowedUDPPortRanges;"
        " inherit (f) trustedInterfaces interfaces; }"
    )
    assert firewall["enable"]
    assert firewall["trustedInterfaces"] in ([], ["lo"])
    assert firewall["allowedTCPPortRanges"] == firewall["allowedUDPPortRanges"] == []
    expected = OPEN[host]
    assert (sorted(firewall["allowedTCPPorts"]), sorted(firewall["allowedUDPPorts"])) == expected["all"]
    opened = {
        name: (sorted(ports["allowedTCPPorts"]), sorted(ports["allowedUDPPorts"]))
        for name, ports in firewall["interfaces"].items()
    }
    assert opened.pop("tailscale0", ([], [])) == expected["tailscale0"]
    assert all(ports == ([], []) for ports in opened.values())


REFUSED = f"(import {NIX_TESTS}/refused.nix)"
HOST_OF = "(flake.nixosConfigurations.${case.host}.extendModules { modules = [ case.module ]; }).config"


def names() -> list[str]:
    """Names of the configurations of refused.nix, read from its text: this is called before any test runs."""
    text = (NIX_TESTS / "refused.nix").read_text(encoding="utf-8")
    return re.findall(r"^  ([a-z0-9-]+) =\s+refused\b", text, re.MULTILINE)


def in_one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def said() -> dict[str, tuple[str, list[str] | None]]:
    """Of each configuration: what it must be told, and what its failed assertions say (None: it fails before those)."""
    messages = f"map (a: a.message) (lib.filter (a: !a.assertion) {HOST_OF}.assertions)"
    told = f"said = builtins.tryEval (let m = {messages}; in builtins.deepSeq m m);"
    everything = sorted(evaluate(f"lib.attrNames {REFUSED}"))
    found = {}
    # A few at a time: every evaluated host costs half a gigabyte until the process ends.
    for some in (everything[n : n + 6] for n in range(0, len(everything), 6)):
        cases = f'lib.getAttrs (lib.splitString " " "{" ".join(some)}") {REFUSED}'
        found |= evaluate(f"lib.mapAttrs (_: case: {{ inherit (case) message; {told} }}) ({cases})")
    return {
        name: (case["message"], case["said"]["value"] if case["said"]["success"] else None)
        for name, case in found.items()
    }


@pytest.mark.parametrize("name", names())
def test_a_configuration_that_can_not_work_is_refused_with_its_reason(
    name: str, said: dict[str, tuple[str, list[str] | None]]
) -> None:
    expected, messages = said[name]
    if messages:
        assert in_one_line(expected) in in_one_line("\n".join(messages))
        return
    # A value of the wrong type fails before any assertion: only Nix's own words tell.
    done = run(f"let case = {REFUSED}.{name}; in {HOST_OF}.system.build.toplevel.drvPath")
    assert done.returncode != 0, f"{name} evaluates"
    assert in_one_line(expected) in in_one_line(done.stderr)


def test_every_refused_configuration_is_tried(said: dict[str, tuple[str, list[str] | None]]) -> None:
    assert set(names()) == set(said)
