"""The hosts of the flake: what they refuse, what their units say, which ports they open, what the manual says."""

import re
from typing import Any

import pytest

from support.golden import OPTIONS, golden_files, rendered_files, rendered_options
from support.nix import NIX_TESTS, ROOT, evaluate, run

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


@pytest.fixture(scope="module")
def options() -> dict[str, list[dict[str, Any]]]:
    """The options of the NixOS modules and of home-manager's, as the manual lists them."""
    return evaluate(f"import {NIX_TESTS}/options.nix")


def test_every_option_has_a_type_and_a_description_and_one_that_can_be_set_has_an_example(
    options: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(options["nixos"]) > 50
    assert {o["name"] for o in options["home"]} == {
        f"bawn.bridge.{name}" for name in ("enable", "package", "keyFile", "settings")
    }
    both = [*options["nixos"], *options["home"]]
    assert not [o["name"] for o in both if not o["type"] or not o["description"]]
    assert not [o["name"] for o in both if o["example"] is None and not o["readOnly"]]


REQUIRED = {
    # What nobody can know beforehand: of the fleet, and of each entry in it.
    "bawn.fleet.name",
    "bawn.fleet.tailnet",
    "bawn.fleet.tailnet.base_domain",
    "bawn.fleet.people.<name>.login",
    "bawn.fleet.nodes.<name>.role",
    "bawn.fleet.models.<name>.file",
    "bawn.fleet.models.<name>.size_mib",
    "bawn.healthGate.checks.<name>.url",
}
"""Options without a default."""


def test_every_option_has_a_default_but_those_that_must_be_set(options: dict[str, list[dict[str, Any]]]) -> None:
    without = {o["name"] for o in [*options["nixos"], *options["home"]] if o["default"] is None}
    assert without == REQUIRED


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


def test_a_host_that_has_not_joined_lets_nobody_in_but_by_ssh_on_every_network_where_that_is_set() -> None:
    found = evaluate(
        "lib.mapAttrs (_: host: let of = modules: (host.extendModules { inherit modules; }).config; now = of [ ]; in {"
        " passwords = lib.filter (value: value != null) (with now.users.users.root;"
        " [ password hashedPassword hashedPasswordFile initialPassword initialHashedPassword ]);"
        " closed = now.networking.firewall.allowedTCPPorts;"
        " opened = (of [ { bawn.ssh.public = true; } ]).networking.firewall.allowedTCPPorts; })"
        " { inherit (flake.nixosConfigurations) gateway gpu; }"
    )
    only_ssh = {"passwords": [], "closed": [], "opened": [22]}
    assert found == {"gateway": only_ssh, "gpu": only_ssh}


COUNTED = (
    "(c: { grub = c.boot.loader.grub.enable; counted = c.boot.loader.systemd-boot.bootCounting.enable or false;"
    " before_it_is_good = c.systemd.targets.boot-complete.requires or [ ]; })"
)


def test_entries_of_a_host_with_systemd_boot_are_counted_until_its_gate_has_passed_and_grub_s_are_not() -> None:
    hosts = evaluate(f"lib.mapAttrs (_: host: {COUNTED} host.config) flake.nixosConfigurations")
    gate = ["bawn-health-gate.service"]
    # As far as nixpkgs can: the next test.
    can = evaluate("flake.nixosConfigurations.gpu.options.boot.loader.systemd-boot ? bootCounting")
    # Why the two rented hosts boot by GRUB: docs/architecture.md. A laptop has no gate.
    assert hosts == {
        "headscale": {"grub": True, "counted": False, "before_it_is_good": []},
        "gateway": {"grub": True, "counted": False, "before_it_is_good": []},
        "gpu": {"grub": False, "counted": can, "before_it_is_good": gate},
        "laptop": {"grub": False, "counted": False, "before_it_is_good": []},
    }
    # The other choice, for a provider with UEFI: another hardware.nix, and another image of the same host.
    for way in (
        "(flake.nixosConfigurations.gateway.extendModules"
        " { modules = [ { boot.loader.systemd-boot.enable = true; } ]; }).config",
        "flake.nixosConfigurations.gateway.config.system.build.images.qemu-efi.passthru.config",
    ):
        assert evaluate(f"{COUNTED} {way}") == {"grub": False, "counted": can, "before_it_is_good": gate}


def test_a_host_evaluates_against_a_nixpkgs_that_can_not_count_entries() -> None:
    """nixos-26.05 has no such option: its module is stood in for by one with the same options but this."""
    found = evaluate(
        "let gpu = flake.nixosConfigurations.gpu;"
        ' known = lib.attrNames (removeAttrs gpu.options.boot.loader.systemd-boot [ "bootCounting" ]);'
        " older = { lib, ... }: {"
        ' disabledModules = [ "system/boot/loader/systemd-boot/systemd-boot.nix" ];'
        " options.boot.loader.systemd-boot = lib.genAttrs known (_: lib.mkOption { type = lib.types.anything; }); };"
        " in (gpu.extendModules { modules = [ older ]; }).config.systemd.targets.boot-complete.requires"
    )
    assert found == ["bawn-health-gate.service"]


REFUSED = f"(import {NIX_TESTS}/refused.nix)"
HOST_OF = (
    f'(if case.host == "home" then import {NIX_TESTS}/home.nix "x86_64-linux" case.module'
    " else flake.nixosConfigurations.${case.host}.extendModules { modules = [ case.module ]; }).config"
)


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


MESSAGE = re.compile(r'"((?:bawn\.|boot\.|\$\{at\})[^"\n]*: [^"\n]*)')
"""A string of a module that says what is wrong with an option, up to its end or to a string inside it."""
INTERPOLATED = re.compile(r"\$\{[^}]*(?:\}|$)")


def test_every_message_of_a_module_is_one_that_a_refused_configuration_is_told(
    said: dict[str, tuple[str, list[str] | None]],
) -> None:
    told = "\n".join(line for _, lines in said.values() for line in lines or [])
    messages = [
        (path.name, text)
        for path in sorted((ROOT / "nixos-modules").glob("*.nix"))
        for text in MESSAGE.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(messages) > 40
    unheard = [
        f"{module}: {text}"
        for module, text in messages
        if not re.search(".*".join(re.escape(part) for part in INTERPOLATED.split(text)), told)
    ]
    assert not unheard
