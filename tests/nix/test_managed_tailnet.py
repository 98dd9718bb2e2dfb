"""A fleet on a tailnet that Tailscale runs: no Headscale host, and hosts that join where Tailscale's own nodes do."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bawn.fleet.checks import problems
from bawn.fleet.policy.comparison import problems_of_policy
from bawn.fleet.policy.language import parse_policy
from bawn.fleet.reading import to_fleet
from support.hosts.golden_host import bawn
from support.nix import evaluate

pytestmark = pytest.mark.timeout(300)

MANAGED = """
  { lib, ... }:
  {
    bawn.fleet = {
      tailnet.managed = true;
      tailnet.server_url = lib.mkForce "https://controlplane.tailscale.com";
      nodes = lib.mkForce {
        gateway = { role = "gateway"; memory_mib = 2048; };
        gpu = { role = "gpu"; models = [ "coder" ]; vram_mib = 24576; };
        ada-laptop = { role = "laptop"; owner = "ada"; };
      };
    };
  }
"""


@pytest.fixture(scope="module")
def hosts() -> dict[str, Any]:
    """What evaluation gives of each host of such a fleet."""
    return evaluate(
        f"lib.mapAttrs (_: host: let c = (host.extendModules {{ modules = [ ({MANAGED}) ]; }}).config; in {{"
        " system = c.system.build.toplevel.drvPath;"
        " refused = map (a: a.message) (lib.filter (a: !a.assertion) c.assertions);"
        " headscale = c.services.headscale.enable; tailscale = c.services.tailscale.enable;"
        " flags = c.services.tailscale.extraUpFlags;"
        " ports = c.networking.firewall.interfaces.tailscale0.allowedTCPPorts;"
        " fleet = lib.filterAttrsRecursive (_: value: value != null) c.bawn.fleet; })"
        ' (removeAttrs flake.nixosConfigurations [ "headscale" ])'
    )


@pytest.mark.parametrize(
    ("host", "ports", "flags"),
    [
        ("gateway", [22, 8700], ["--hostname=gateway"]),
        ("gpu", [22, 8000], ["--hostname=gpu"]),
        ("laptop", [], ["--hostname=ada-laptop", "--shields-up"]),
    ],
)
def test_a_host_evaluates_and_joins_without_a_login_server_of_its_own(
    hosts: dict[str, Any], host: str, ports: list[int], flags: list[str]
) -> None:
    found = hosts[host]
    assert found["refused"] == []
    assert found["system"].endswith(".drv")
    assert (found["tailscale"], found["headscale"]) == (True, False)
    assert found["flags"] == flags
    assert sorted(found["ports"]) == ports


def test_its_fleet_passes_the_checks_and_a_policy_is_rendered_for_tailscale(
    tmp_path: Path, hosts: dict[str, Any]
) -> None:
    data = hosts["gateway"]["fleet"]
    fleet = to_fleet(data, origin="f")
    assert problems(fleet) == []
    file = tmp_path / "fleet.json"
    file.write_bytes(msgspec.json.encode(data))
    policy = parse_policy(bawn("fleet", "policy", file, "--for", "tailscale").encode(), origin="p")
    assert problems_of_policy(fleet, policy) == []
