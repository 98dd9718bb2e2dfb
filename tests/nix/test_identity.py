"""What a gateway's host makes of who calls: in a tailnet the node counts beside the key, elsewhere the key alone."""

from typing import Any

from support.nix import evaluate


def test_on_a_tailnet_key_and_node_count_elsewhere_the_key_and_the_operator_has_the_last_word() -> None:
    told: dict[str, Any] = evaluate(
        "let of = modules:"
        " (flake.nixosConfigurations.gateway.extendModules { inherit modules; })"
        ".config.bawn.gateway.settingsFile.source.settings.identity;"
        " in {"
        " tailnet = of [ ];"
        " elsewhere = of [ ({ lib, ... }: { bawn.tailnet.enable = lib.mkForce false; }) ];"
        ' chosen = of [ { bawn.gateway.settings.identity = "tailnet"; } ]; }'
    )
    assert told == {"tailnet": "key+tailnet", "elsewhere": "key", "chosen": "tailnet"}
