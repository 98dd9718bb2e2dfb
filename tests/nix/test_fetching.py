"""What repositories that have a url make of the gateway host: one unit fetches them, and one without network reads."""

from typing import Any

from support.nix import evaluate

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


def test_without_a_url_nothing_is_fetched() -> None:
    assert evaluate("flake.nixosConfigurations.gateway.config.systemd.services ? bawn-fetch") is False
