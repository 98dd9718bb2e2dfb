"""The flake's packages and hosts evaluate, and a host opens the ports that the design gives it and no other."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.nix import ROOT, evaluate, nix_program

pytestmark = pytest.mark.timeout(600)

NIX_FILES = sorted(
    path
    for folder in ("nixos-modules", "hosts", "tests", "python")
    for path in (ROOT / folder).rglob("*.nix")
    if ".venv" not in path.parts
)


@pytest.mark.parametrize("path", [ROOT / "flake.nix", *NIX_FILES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_nix_file_parses(path: Path) -> None:
    done = subprocess.run(
        [nix_program("nix-instantiate"), "--parse", "--store", "dummy://", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_lock_names_only_public_repositories() -> None:
    lock = json.loads((ROOT / "flake.lock").read_text(encoding="utf-8"))
    locked = [node["locked"] for name, node in lock["nodes"].items() if name != "root"]
    assert {entry["type"] for entry in locked} == {"github"}
    assert all(entry["narHash"].startswith("sha256-") and len(entry["rev"]) == 40 for entry in locked)


def test_every_package_evaluates() -> None:
    found = evaluate("lib.mapAttrs (_: lib.mapAttrs (_: p: p.drvPath)) flake.packages")
    assert set(found["x86_64-linux"]) >= {"bridge", "gateway", "indexer", "model-server", "model-server-cuda"}
    assert set(found["aarch64-linux"]) >= {"bridge", "gateway", "indexer", "model-server"}
    # Why not on ARM: flake.nix.
    assert set(found["x86_64-linux"]) >= {"pod-image"}
    assert not {"model-server-cuda", "pod-image"} & set(found["aarch64-linux"])
    assert set(found["aarch64-darwin"]) == {"bridge", "default"}
    assert all(path.endswith(".drv") for packages in found.values() for path in packages.values())


def test_llama_cpp_is_compiled_with_the_pinned_cuda_for_the_pinned_cards() -> None:
    pins = json.loads((ROOT / "python" / "llama-cpp.json").read_text(encoding="utf-8"))
    package = "flake.packages.x86_64-linux.model-server-cuda.pythonSet.llama-cpp-python"
    build = evaluate(f"{package}.preBuild")
    assert f"-DCMAKE_CUDA_ARCHITECTURES={'-real;'.join(pins['architectures'])}-real" in build
    assert all(f"-D{key}={value}" in build for key, value in (pins["cmake"] | pins["cmake_cuda"]).items())
    inputs = evaluate(f"map (p: p.name) {package}.nativeBuildInputs")
    assert any(name.startswith(f"cuda{pins['cuda']}-cuda_nvcc-") for name in inputs)


def test_the_oldest_driver_of_the_pinned_cuda_is_one_in_the_module_and_in_the_pins() -> None:
    pins = json.loads((ROOT / "python" / "llama-cpp.json").read_text(encoding="utf-8"))
    found = evaluate("flake.nixosConfigurations.gpu.config.bawn.nvidia")
    assert (found["cuda"], found["minimumDriver"]) == (pins["cuda"], pins["minimum_driver"])
    assert evaluate("flake.packages.x86_64-linux.model-server-cuda.cuda") == pins["cuda"]


def test_a_host_is_compiled_for_its_own_card() -> None:
    cards = '{ modules = [ { bawn.nvidia.architectures = [ "80" "90" ]; } ]; }'
    host = f"(flake.nixosConfigurations.gpu.extendModules {cards})"
    build = evaluate(f"{host}.config.bawn.package.model-server-cuda.pythonSet.llama-cpp-python.preBuild")
    assert "-DCMAKE_CUDA_ARCHITECTURES=80-real;90-real" in build


def test_the_cpu_build_has_nothing_of_cuda() -> None:
    package = "flake.packages.x86_64-linux.model-server.pythonSet.llama-cpp-python"
    inputs = evaluate(f"map (p: p.name) ({package}.nativeBuildInputs ++ {package}.buildInputs)")
    assert not [name for name in inputs if "cuda" in name or "cublas" in name]


def test_headscale_is_of_the_release_that_knows_policy_tests() -> None:
    assert evaluate("flake.inputs.nixpkgs.lib.getVersion flake.packages.x86_64-linux.headscale") == "0.29.2"


def test_every_app_starts_a_script_that_exists() -> None:
    apps = evaluate("lib.mapAttrs (_: lib.mapAttrs (_: app: app.program)) flake.apps")
    assert set(apps["x86_64-linux"]) == set(apps["aarch64-linux"]) == {"demo", "doctor", "plan"}
    assert set(apps["aarch64-darwin"]) == set(apps["x86_64-darwin"]) == {"doctor"}
    for programs in apps.values():
        assert all(program.endswith(f"-bawn-{name}") for name, program in programs.items())


@pytest.mark.parametrize("name", ["demo", "doctor", "plan"])
def test_the_command_of_an_app_is_one_of_bawn_s(name: str) -> None:
    assert f"bawn {name}" in subprocess.run(
        [sys.executable, "-m", "bawn.cli", name, "--help"], capture_output=True, text=True, check=False
    ).stdout.replace("python -m bawn.cli", "bawn")


DISKS = {
    # host: further formats than the one that the flake's package has
    "headscale": ["openstack"],
    "gateway": ["raw", "digital-ocean"],
    "gpu": [],
    "laptop": [],
}


@pytest.mark.parametrize("host", DISKS)
def test_a_host_is_a_disk_image_too(host: str) -> None:
    images = f"flake.nixosConfigurations.{host}.config.system.build.images"
    formats = " ".join(f'"{name}"' for name in DISKS[host])
    paths = evaluate(
        f"[ flake.packages.x86_64-linux.image-{host}.drvPath ] ++ map (name: {images}.${{name}}.drvPath) [ {formats} ]"
    )
    assert all(path.endswith(".drv") for path in paths)
    assert len(set(paths)) == len(paths)


def test_the_hosts_files_are_a_check_so_that_building_them_lints_their_scripts() -> None:
    files = evaluate("lib.mapAttrs (_: host: lib.attrNames host.config.bawn.files) flake.nixosConfigurations")
    assert "bawn-keys" in files["gateway"]
    assert evaluate("flake.checks.x86_64-linux.host-files.drvPath").endswith("-bawn-host-files.drv")
