"""The example of sops-nix beside each host: with it, every secret of the host is one that sops-nix puts there."""

import pytest

from support.nix import NIX_TESTS, ROOT, evaluate

pytestmark = pytest.mark.timeout(300)

HOSTS = sorted(path.parent.name for path in (ROOT / "hosts").glob("*/sops.nix"))
SECRETS = {
    # host: {service: its credentials}
    "gateway": {
        "bawn-gateway": ["token-gpu:/run/secrets/token-gpu"],
        "bawn-search-keys": ["master-key:/run/secrets/meilisearch-master-key"],
        "bawn-search-register": ["master-key:/run/secrets/meilisearch-master-key"],
        "meilisearch": ["master_key:/run/secrets/meilisearch-master-key"],
        "tailscaled-autoconnect": ["auth-key:/run/secrets/tailnet-auth-key"],
    },
    "gpu": {
        "bawn-health-gate": ["model-server:/run/secrets/token"],
        "bawn-model-server": ["token:/run/secrets/token"],
        "tailscaled-autoconnect": ["auth-key:/run/secrets/tailnet-auth-key"],
    },
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_with_its_secrets_by_sops_nix_evaluates_and_has_no_other_secret(host: str) -> None:
    found = evaluate(
        f"let c = (flake.nixosConfigurations.{host}.extendModules {{ modules ="
        f" [ {NIX_TESTS}/sops.nix {ROOT}/hosts/{host}/sops.nix"
        f" {{ bawn.search.enable = {'true' if host == 'gateway' else 'false'}; }} ]; }}).config; in {{"
        " system = c.system.build.toplevel.drvPath; named = lib.attrNames c.sops.secrets;"
        " loaded = lib.filterAttrs (_: list: list != [ ]) (lib.mapAttrs"
        " (_: s: lib.toList (s.serviceConfig.LoadCredential or [ ])) c.systemd.services); }"
    )
    assert found["system"].endswith(".drv")
    # systemd's own units take theirs by name alone, from the machine's own; keys of indexes are made on the host.
    brought = {name: [each for each in at if ":/run/secrets/" in each] for name, at in found["loaded"].items()}
    loaded = {name: at for name, at in brought.items() if at}
    assert loaded == SECRETS[host]
    paths = [each.partition(":")[2] for at in loaded.values() for each in at]
    assert sorted(set(paths)) == sorted(f"/run/secrets/{name}" for name in found["named"])


def test_every_host_that_has_secrets_has_the_example() -> None:
    assert set(HOSTS) == set(SECRETS)
