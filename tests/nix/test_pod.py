"""The pod's image and its first process: what it is made of, what it refuses, what it hands to the model server."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bawn.model_server.engine import state_files
from support.nix import ROOT, evaluate
from support.ports import free_port
from support.until import until
from support.weights_server import serving

pytestmark = pytest.mark.timeout(300)

ENTRYPOINT = ROOT / "nixos-modules" / "pod" / "entrypoint.sh"
SETTINGS = {"model": "/var/lib/bawn-models/coder.gguf", "alias": "coder", "n_ctx": 2048, "n_slots": 1, "port": 8000}
WEIGHTS = b"no weights at all"


def test_the_image_runs_the_gpu_host_s_model_server_as_nobody() -> None:
    image = "flake.packages.x86_64-linux.pod-image"
    host = "flake.nixosConfigurations.gpu.config.bawn.package.model-server-cuda"
    found = evaluate(
        f"{{ pod = {image}.modelServer.drvPath; host = {host}.drvPath; text = {image}.entrypoint.text;"
        f" stream = {image}.drvPath; }}"
    )
    assert found["pod"] == found["host"]
    assert found["stream"].endswith("-stream-bawn-pod.drv")
    assert "-bawn-model-server-cuda-" in found["text"]
    assert "/tailscale-" in found["text"] or "-tailscale-" in found["text"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a provider sets, with all folders in a place of the test's; the driver is nowhere."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "curl", "jq"):
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is missing, which the pod's first process needs: apt-get install {name}")
    (programs / "bawn").symlink_to(Path(sys.executable).with_name("bawn"))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "coder.gguf").write_bytes(WEIGHTS)
    return {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "BAWN_RUN": str(tmp_path / "run"),
        "BAWN_DRIVER_LINKS": str(tmp_path / "links"),
        "BAWN_DRIVER_FOLDERS": str(tmp_path / "driver"),
        "BAWN_WEIGHTS": str(tmp_path / "weights"),
        "BAWN_SECRETS": str(tmp_path / "secrets"),
        "BAWN_NODE": "pod",
        "BAWN_SETTINGS": json.dumps(SETTINGS),
        "BAWN_TAILNET_KEY": "a-key",
        "BAWN_TOKEN": "a-token",
        "BAWN_GPU": "none",
    }


def started(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(ENTRYPOINT)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"BAWN_NODE": ""}, "BAWN_NODE isn't set"),
        ({"BAWN_SETTINGS": ""}, "BAWN_SETTINGS isn't set"),
        ({"BAWN_SETTINGS": "{"}, "BAWN_SETTINGS is no JSON"),
        ({"BAWN_TAILNET_KEY": ""}, "There is no tailnet key"),
        ({"BAWN_TOKEN": ""}, "There is no token"),
        ({"BAWN_GPU": ""}, "The container runtime brought no libcuda.so.1"),
        ({"BAWN_MODEL_URL": "https://127.0.0.1/x"}, "BAWN_MODEL_SHA256 is no SHA-256"),
        ({"BAWN_SETTINGS": json.dumps(SETTINGS | {"model": "other.gguf"})}, "other.gguf isn't there"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_pod_that_can_not_serve_says_why(environment: dict[str, str], changes: dict[str, str], said: str) -> None:
    done = started(environment | changes)
    assert done.returncode == 1
    assert said in done.stderr
    assert "a-key" not in done.stderr + done.stdout


def test_the_driver_that_the_runtime_mounts_is_linked_where_programs_of_nix_look(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    driver = tmp_path / "driver"
    driver.mkdir()
    for name in ("libcuda.so.1", "libcuda.so.580.1", "libnvidia-ptxjitcompiler.so.1", "libc.so.6"):
        (driver / name).touch()
    done = started(environment | {"BAWN_GPU": ""})
    assert done.returncode == 1
    linked = sorted(path.name for path in (tmp_path / "links").iterdir())
    assert linked == ["libcuda.so.1", "libcuda.so.580.1", "libnvidia-ptxjitcompiler.so.1"]
    # What is left to be wrong on a machine without a card.
    assert "/dev/nvidia" in done.stderr or "The GPU can't be used" in done.stderr


async def test_fetched_weights_are_used_only_with_the_right_hash(tmp_path: Path, environment: dict[str, str]) -> None:
    port, served = free_port(), tmp_path / "served"
    served.mkdir()
    (served / "x.gguf").write_bytes(WEIGHTS)
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(served)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        from_network = environment | {
            "BAWN_MODEL_URL": f"http://127.0.0.1:{port}/x.gguf",
            "BAWN_MODEL_PROTOCOL": "http",
        }
        await until(
            lambda: started(from_network | {"BAWN_MODEL_SHA256": "0" * 64}).stderr.count("they are deleted") == 1
        )
        assert not list((tmp_path / "weights").glob("*.part"))
        right = hashlib.sha256(WEIGHTS).hexdigest()
        done = started(from_network | {"BAWN_MODEL_SHA256": right})
        assert (tmp_path / "weights" / right / "coder.gguf").read_bytes() == WEIGHTS
        # They are what was asked for, and no model: the model server's own check ends it.
        assert done.returncode == 1
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=10)


def test_weights_that_were_whole_when_the_pod_was_stopped_are_checked_and_begun_anew_if_they_are_not_right(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    right = hashlib.sha256(WEIGHTS).hexdigest()
    part, model = tmp_path / "weights" / f"{right}.part", tmp_path / "weights" / right / "coder.gguf"
    with serving(WEIGHTS) as server:
        fetched = {"BAWN_MODEL_URL": server.url(), "BAWN_MODEL_PROTOCOL": "http", "BAWN_MODEL_SHA256": right}
        part.write_bytes(bytes(len(WEIGHTS)))
        assert "The weights can't be fetched" in started(environment | fetched).stderr
        assert not part.exists()
        part.write_bytes(WEIGHTS)
        asked = len(server.requests)
        started(environment | fetched)
        assert model.read_bytes() == WEIGHTS
        assert len(server.requests) == asked


STATE = {"state_dir": "/var/lib/bawn-model-server"}
SEALED = STATE | {"state_key_file": "/run/credentials/bawn-model-server.service/state-key"}


@pytest.mark.parametrize(
    ("rendered", "key", "kept"),
    [
        (STATE, "", {"state_dir": "weights/state/pod"}),
        (SEALED, "a-state-key", {"state_dir": "weights/state/pod", "state_key_file": "run/state-key"}),
        ({}, "a-state-key", {}),
    ],
    ids=["plain", "encrypted", "nothing"],
)
def test_state_is_kept_on_the_volume_in_a_folder_of_the_pod_s_own(
    tmp_path: Path, environment: dict[str, str], rendered: dict[str, str], key: str, kept: dict[str, str]
) -> None:
    settings = {"BAWN_SETTINGS": json.dumps(SETTINGS | rendered), "BAWN_STATE_KEY": key}
    earlier = tmp_path / "weights" / "state" / "pod" / state_files.FILE
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    done = started(environment | settings)
    assert "a-state-key" not in done.stderr + done.stdout
    written = json.loads((tmp_path / "run" / "model-server.json").read_text(encoding="utf-8"))
    paths = {name: path for name, path in written.items() if name.startswith("state_")}
    assert paths == {name: str(tmp_path / path) for name, path in kept.items()}
    assert earlier.exists() == bool(kept)
    if "state_key_file" in kept:
        assert (tmp_path / "run" / "state-key").read_text(encoding="utf-8") == key
        assert (tmp_path / "run" / "state-key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("rendered", "key", "said"),
    [(SEALED, "", "There is no state key"), (STATE, "a-state-key", "There is a state key, but the fleet says")],
    ids=["encrypted-without-key", "plain-with-key"],
)
def test_a_pod_whose_key_and_fleet_say_different_things_does_not_start(
    environment: dict[str, str], rendered: dict[str, str], key: str, said: str
) -> None:
    done = started(environment | {"BAWN_SETTINGS": json.dumps(SETTINGS | rendered), "BAWN_STATE_KEY": key})
    assert done.returncode == 1
    assert said in done.stderr


def test_what_the_model_server_gets_is_loopback_and_no_secret_is_in_it(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    started(environment)
    run = tmp_path / "run"
    settings = json.loads((run / "model-server.json").read_text(encoding="utf-8"))
    assert settings == SETTINGS | {
        "host": "127.0.0.1",
        "model": str(tmp_path / "weights" / "coder.gguf"),
        "token_file": str(run / "token"),
        "n_gpu_layers": 0,
    }
    for name, secret in {"token": "a-token", "tailnet-key": "a-key"}.items():
        assert (run / name).read_text(encoding="utf-8") == secret
        assert (run / name).stat().st_mode & 0o777 == 0o600
