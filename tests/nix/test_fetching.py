"""What repositories that have a url make of the gateway host: one unit fetches them, and one without network reads."""

import json
from pathlib import Path
from typing import Any

from bawn.indexer.libraries.registries import read_registries
from support.nix import ROOT, evaluate

TOLD = """
let
  config = (flake.nixosConfigurations.gateway.extendModules { modules = [ {
    bawn.fleet.nodes.gateway.memory_mib = flake.inputs.nixpkgs.lib.mkForce 4096;
    bawn.fleet.repositories.lib = {
      url = "ssh://git@git.example.org/team/lib.git";
      branches = [ "main" "release/*" ];
      project = "core";
      exclude = [ "third_party" ];
      index = "libraries";
    };
    bawn.indexer.access.lib.keyFile = "/run/secrets/deploy-key";
  } ]; }).config;
  inherit (config.systemd) services;
in {
  fetch = { inherit (services.bawn-fetch) after; inherit (services.bawn-fetch.serviceConfig)
    LoadCredential IPAddressDeny User; };
  index = { inherit (services.bawn-indexer) after wants; inherit (services.bawn-indexer.serviceConfig)
    PrivateNetwork ReadOnlyPaths; };
  scripts = builtins.mapAttrs (_: file: file.text) { inherit (config.bawn.files) bawn-index-fetch bawn-index-run; };
}
"""


def test_a_repository_with_a_url_is_fetched_by_a_unit_of_its_own_with_its_key_and_indexed_without_network() -> None:
    told: dict[str, Any] = evaluate(TOLD)
    assert told["fetch"]["LoadCredential"] == ["key-lib:/run/secrets/deploy-key"]
    assert told["fetch"]["IPAddressDeny"] == []
    assert "network-online.target" in told["fetch"]["after"]
    assert told["index"]["PrivateNetwork"] is True
    assert told["index"]["ReadOnlyPaths"] == ["-/srv/git/app"]
    for order in ("after", "wants"):
        assert "bawn-fetch.service" in told["index"][order]
    fetch, run = told["scripts"]["bawn-index-fetch"], told["scripts"]["bawn-index-run"]
    assert (
        "bawn index add ssh://git@git.example.org/team/lib.git --name lib --into libraries --branch main"
        " --branch 'release/*' --project core --exclude third_party"
        ' --key-file /run/credentials/bawn-fetch.service/key-lib --index "$work" || failed=1'
    ) in fetch
    assert "/srv/git/app" not in fetch
    assert "git.example.org" not in run
    assert 'bawn index run --no-fetch --index "$work"' in run


LIBRARIES = """
let
  config = (flake.nixosConfigurations.gateway.extendModules { modules = [ {
    bawn.fleet.nodes.gateway.memory_mib = flake.inputs.nixpkgs.lib.mkForce 4096;
    bawn.fleet.repositories.app.libraries = "direct";
    bawn.indexer.groups = [ "git" ];
    bawn.indexer.registries.npm = { place = "https://npm.example.org"; private = [ "@team/*" ]; };
    bawn.indexer.registries.go.place = "none";
  } ]; }).config;
  inherit (config.systemd) services;
in {
  fetch = { inherit (services.bawn-fetch.serviceConfig) LoadCredential ReadOnlyPaths SupplementaryGroups; };
  index = { inherit (services.bawn-indexer) after; inherit (services.bawn-indexer.serviceConfig) PrivateNetwork; };
  files = builtins.mapAttrs (_: file: file.text) config.bawn.files;
}
"""


def test_libraries_of_a_repository_on_the_host_are_fetched_by_the_unit_with_the_network() -> None:
    told: dict[str, Any] = evaluate(LIBRARIES)
    # It reads the lock files, and nothing there can be written.
    assert told["fetch"] == {
        "LoadCredential": [],
        "ReadOnlyPaths": ["-/srv/git/app"],
        "SupplementaryGroups": ["git"],
    }
    assert told["index"] == {"after": ["bawn-fetch.service"], "PrivateNetwork": True}
    added = "bawn index add /srv/git/app --name app --into code --branch main --libraries direct"
    assert added in told["files"]["bawn-index-fetch"]
    assert added in told["files"]["bawn-index-run"]
    assert json.loads(told["files"]["bawn-registries.json"]) == {
        "registries": {
            "go": {"place": "none", "private": [], "file_hosts": []},
            "npm": {"place": "https://npm.example.org", "private": ["@team/*"], "file_hosts": []},
        }
    }


def test_what_the_host_s_registries_file_says_is_what_the_indexer_reads(tmp_path: Path) -> None:
    golden = ROOT / "tests" / "nix" / "golden" / "gateway-with-forge" / "files" / "bawn-registries.json"
    (tmp_path / "registries.json").write_bytes(golden.read_bytes())
    pypi = read_registries(tmp_path)["pypi"]
    assert pypi.place == "https://packages.example.org/pypi/simple"
    assert pypi.token_file == "/run/credentials/bawn-fetch.service/registry-pypi"


def test_without_a_url_nothing_is_fetched() -> None:
    assert evaluate("flake.nixosConfigurations.gateway.config.systemd.services ? bawn-fetch") is False
