"""What is rendered is what the services read, byte for byte the same each time.

The golden files are made by `bawn fleet render examples/EXAMPLE.toml --node NODE --out golden/EXAMPLE/NODE`.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bawn.bridge.settings import BridgeSettings, load
from bawn.contracts.errors import SettingsError
from bawn.fleet.reading import read_fleet, to_fleet
from bawn.fleet.rendering import Places, render, write
from bawn.gateway.auth.settings import PersonSettings
from bawn.gateway.check import problems as gateway_problems
from bawn.gateway.settings import GatewaySettings
from bawn.model_server.settings import ModelServerSettings
from bawn.service.settings import read_data, read_settings

HERE = Path(__file__).parent
EXAMPLES = sorted((HERE / "examples").glob("*.toml"))
NODES = [(path, node) for path in EXAMPLES for node in sorted(read_fleet(path).nodes)]
KINDS: dict[str, Any] = {
    "gateway.json": GatewaySettings,
    "model-server.json": ModelServerSettings,
    "bridge.json": BridgeSettings,
}
BY_ROLE = {
    "gateway": ["gateway.json"],
    "gpu": ["model-server.json"],
    "pod": ["model-server.json"],
    "laptop": ["bridge.json"],
    "headscale": [],
}
each_node = pytest.mark.parametrize(("path", "node"), NODES, ids=lambda value: getattr(value, "stem", value))


@each_node
def test_each_node_gets_the_files_of_its_role_as_committed(path: Path, node: str) -> None:
    files = render(read_fleet(path), node, Places())
    assert sorted(files) == BY_ROLE[read_fleet(path).nodes[node].role]
    golden = HERE / "golden" / path.stem / node
    assert files == {file.name: file.read_bytes() for file in golden.glob("*")}


def test_no_golden_file_is_left_from_a_node_that_is_gone() -> None:
    kept = {(file.parent.parent.name, file.parent.name) for file in (HERE / "golden").glob("*/*/*")}
    assert kept <= {(path.stem, node) for path, node in NODES}


@each_node
def test_the_services_take_what_is_rendered(path: Path, node: str, tmp_path: Path) -> None:
    fleet = read_fleet(path)
    token = tmp_path / "token"
    token.write_text("secret", encoding="utf-8")
    places = Places(upstream_token_file=str(token), keys_file=str(tmp_path / "keys.json"), state_key_file=str(token))
    for file in write(render(fleet, node, places), tmp_path):
        settings = read_settings(file, KINDS[file.name])
        if isinstance(settings, GatewaySettings):
            assert gateway_problems(settings) == []
        elif isinstance(settings, ModelServerSettings):
            settings.checked().engine_options()
        else:
            assert load(file) == settings


@each_node
def test_equal_fleets_render_the_same_bytes_in_whatever_order_they_are_written(path: Path, node: str) -> None:
    def reversed_tables(data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: reversed_tables(data[key]) for key in reversed(list(data))}

    data: Any = read_data(path)
    turned = reversed_tables(data)
    assert list(turned) != list(data)
    assert render(to_fleet(turned, origin="f"), node, Places()) == render(read_fleet(path), node, Places())


def test_a_gateway_knows_every_model_server_by_its_name_on_the_tailnet() -> None:
    files = render(read_fleet(HERE / "examples" / "contractors.toml"), "gateway-guests", Places())
    settings = msgspec.json.decode(files["gateway.json"], type=GatewaySettings)
    assert [(upstream.name, upstream.url, upstream.models) for upstream in settings.upstreams] == [
        ("gpu-1", "http://gpu-1.mesh.works.example:8000", ["coder"]),
        ("gpu-2", "http://gpu-2.mesh.works.example:8000", ["coder"]),
        ("gpu-3", "http://gpu-3.mesh.works.example:8000", ["embedder", "writer"]),
    ]


def test_a_gateway_knows_each_person_with_what_they_may_use_and_their_laptops() -> None:
    fleet = read_fleet(HERE / "examples" / "contractors.toml")
    for gateway in fleet.of_role("gateway"):
        settings = msgspec.json.decode(render(fleet, gateway, Places())["gateway.json"], type=GatewaySettings)
        assert settings.identity == "key+tailnet"
        assert settings.people == {
            "kim": PersonSettings(
                login="kim@works.example",
                models=["coder", "writer"],
                indexes=["code", "docs", "libraries"],
                nodes=["kim-laptop"],
            ),
            "contractor-a": PersonSettings(
                login="a@agency.example", models=["coder"], indexes=["libraries"], nodes=["a-laptop"]
            ),
            "contractor-b": PersonSettings(login="b@agency.example", models=["coder"], nodes=["b-laptop"]),
        }


def test_a_laptop_uses_the_gateway_that_it_names() -> None:
    fleet = read_fleet(HERE / "examples" / "contractors.toml")
    urls = {
        node: msgspec.json.decode(render(fleet, node, Places())["bridge.json"], type=BridgeSettings).gateway_url
        for node in fleet.of_role("laptop")
    }
    assert urls == {
        "a-laptop": "http://gateway-guests.mesh.works.example:8700",
        "b-laptop": "http://gateway-guests.mesh.works.example:8700",
        "kim-laptop": "http://gateway-staff.mesh.works.example:8700",
    }


def test_places_are_what_the_host_says() -> None:
    fleet = read_fleet(HERE / "examples" / "own-gpu.toml")
    places = Places(host="100.64.0.7", weights_dir="/w/", index_dir="/i", key_file="/k")
    gateway = msgspec.json.decode(render(fleet, "gateway", places)["gateway.json"], type=GatewaySettings)
    gpu = msgspec.json.decode(render(fleet, "gpu", places)["model-server.json"], type=ModelServerSettings)
    assert (gateway.host, gateway.index_dir) == ("100.64.0.7", "/i")
    assert (gpu.host, gpu.model) == ("100.64.0.7", "/w/Qwen3.6-27B-Q4_K_M.gguf")


def test_a_model_server_keeps_state_on_disk_only_where_the_fleet_says_so_and_with_a_key_where_that_is_said() -> None:
    def kept(example: str, node: str) -> tuple[str, str]:
        places = Places(state_dir="/s", state_key_file="/k")
        rendered = render(read_fleet(HERE / "examples" / example), node, places)["model-server.json"]
        settings = msgspec.json.decode(rendered, type=ModelServerSettings)
        return settings.state_dir, settings.state_key_file

    assert kept("pods.toml", "pod-large") == ("/s", "/k")
    assert kept("contractors.toml", "gpu-3") == ("/s", "")
    assert kept("own-gpu.toml", "gpu") == ("", "")


def test_without_repositories_the_gateway_looks_for_no_index() -> None:
    fleet = msgspec.structs.replace(read_fleet(HERE / "examples" / "own-gpu.toml"), repositories={})
    assert "index_dir" not in msgspec.json.decode(render(fleet, "gateway", Places())["gateway.json"])


def test_an_unknown_node_is_named_with_those_that_are_there() -> None:
    with pytest.raises(SettingsError, match="gatway is no node of the fleet; known: ada-laptop, gateway, gpu"):
        render(read_fleet(HERE / "examples" / "own-gpu.toml"), "gatway", Places())
