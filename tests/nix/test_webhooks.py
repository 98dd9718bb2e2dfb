"""What the option for push webhooks makes of gateway and indexer."""

from typing import Any

from support.nix import evaluate

PUSHED = "/var/lib/bawn-index/pushes/pushed"


def test_the_gateway_gets_the_secret_as_a_credential_and_may_leave_the_file_that_the_indexer_is_started_by() -> None:
    told: dict[str, Any] = evaluate(
        "let config = (flake.nixosConfigurations.gateway.extendModules { modules = [ {"
        ' bawn.gateway.webhookSecretFile = "/run/secrets/webhook"; } ]; }).config; in {'
        " settings = config.bawn.gateway.settingsFile.source.settings.webhooks;"
        " inherit (config.systemd.services.bawn-gateway.serviceConfig) LoadCredential ReadWritePaths;"
        " inherit (config.systemd.paths.bawn-indexer.pathConfig) PathExists; }"
    )
    assert told["settings"] == {
        "secret_file": "/run/credentials/bawn-gateway.service/webhook-secret",
        "trigger_file": PUSHED,
    }
    assert "webhook-secret:/run/secrets/webhook" in told["LoadCredential"]
    assert PUSHED.removesuffix("/pushed") in told["ReadWritePaths"]
    assert told["PathExists"] == PUSHED
