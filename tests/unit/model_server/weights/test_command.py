"""`bawn weights` on a command line."""

import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bawn.cli.main import cli

CONTENT = b"GGUF" + bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = "https://weights.example.org/repo/Qwen3.6-27B-Q4_K_M.gguf"
FLEET = """
name = "example"
aliases.default = "coder"
[tailnet]
base_domain = "tailnet.example.org"
server_url = "https://headscale.example.org"
[people.ada]
login = "ada@example.org"
models = ["coder"]
[nodes]
headscale = { role = "headscale" }
gateway = { role = "gateway" }
gpu = { role = "gpu", models = ["coder"] }
ada-laptop = { role = "laptop", owner = "ada" }
"""


def weights(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["weights", *map(str, arguments)])


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder with the weights."""
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / "Qwen3.6-27B-Q4_K_M.gguf").write_bytes(CONTENT)
    return folder


def fleet(tmp_path: Path, stanza: str) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_text(f"{FLEET}\n{stanza}", encoding="utf-8")
    return path


def test_a_pin_goes_into_the_fleet_and_the_fleet_brings_the_weights(tmp_path: Path, stick: Path) -> None:
    pinned = weights("pin", URL, "--file", stick / "Qwen3.6-27B-Q4_K_M.gguf")
    assert pinned.exit_code == 0, pinned.stderr
    assert tomllib.loads(pinned.stdout) == {
        "models": {
            "coder": {
                "file": "Qwen3.6-27B-Q4_K_M.gguf",
                "size_mib": 2,
                "kv_mib": 5000,
                "context_tokens": 65536,
                "slots": 4,
                "url": URL,
                "sha256": SHA256,
            }
        }
    }
    path = fleet(tmp_path, pinned.stdout)
    for named in (["--node", "gpu"], ["--model", "coder"], ["--model", "default"]):
        done = weights("fetch", path, *named, "--from", stick, "--to", tmp_path / "weights")
        assert (done.exit_code, done.stdout) == (0, f"{tmp_path}/weights/Qwen3.6-27B-Q4_K_M.gguf\n"), done.stderr
        assert "the SHA-256 is right" in done.stderr


def test_a_pin_of_a_model_that_is_in_no_catalogue_says_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    done = weights(
        "pin", "https://example.org/dl?id=7", "--as", "x.gguf", "--file", tmp_path / "x", "--name", "a.b", "--nix"
    )
    assert done.stdout == (
        'models."a.b" = {\n  file = "x.gguf";\n  size_mib = 2;\n'
        f'  url = "https://example.org/dl?id=7";\n  sha256 = "{SHA256}";\n}};\n'
    )


def test_a_model_of_the_fleet_that_is_not_pinned_is_asked_about(tmp_path: Path, stick: Path) -> None:
    path = fleet(tmp_path, weights("catalogue", "Qwen3.6-27B/Q4_K_M").stdout)
    done = weights("fetch", path, "--node", "gpu", "--from", stick, "--to", tmp_path / "weights")
    assert done.exit_code == 2
    assert "models.coder: has no url and sha256" in done.stderr
    assert "`bawn weights pin URL` prints both" in done.stderr
    assert not (tmp_path / "weights").exists()


def test_the_catalogue_shows_every_entry_and_names_the_default() -> None:
    done = weights("catalogue")
    assert done.exit_code == 0
    entries = [f"Qwen3.6-27B/{kind}" for kind in ("Q4_K_M", "IQ4_XS", "Q8_0")]
    assert [line.split()[0] for line in done.stdout.splitlines()[1:4]] == entries
    assert f"`bawn weights catalogue {entries[0]}`" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["pin", "http://example.org/a.gguf"], "fetched over https:// only"),
        (["pin", "https://example.org/"], "--as: the URL names no weights' file"),
        (["pin", "https://example.org/a.bin"], "--as: a.bin names no weights' file; give NAME.gguf"),
        (["pin", "https://example.org/a.gguf", "--as", "../a.gguf"], "--as: ../a.gguf names no weights' file"),
        (["pin", "https://example.org/a.gguf", "--name", "a b"], "--name: a b can't be a model's name"),
        (["catalogue", "GPT-9"], "GPT-9: is not in the catalogue; known: Qwen3.6-27B/IQ4_XS, "),
        (["fetch", URL, "--to", "/nowhere"], f"--sha256: what must the file have? `bawn weights pin {URL}` says it."),
        (["fetch", URL, "--sha256", "abc", "--to", "/nowhere"], "--sha256: expected 64 hexadecimal digits"),
        (["fetch", URL, "--sha256", SHA256, "--node", "gpu", "--to", "/nowhere"], "belong to a fleet's file"),
        (["fetch", "/nowhere/fleet.toml", "--node", "gpu", "--to", "/nowhere"], "/nowhere/fleet.toml: can't be read"),
        (["fetch", "/nowhere/fleet.toml", "--sha256", SHA256, "--to", "/nowhere"], "belong to a URL"),
    ],
)
def test_what_can_not_work_is_one_sentence(arguments: list[str], reason: str) -> None:
    done = weights(*arguments)
    assert done.exit_code == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "--node, --model: name one of the two"),
        (["--node", "gpu", "--model", "coder"], "--node, --model: name one of the two"),
        (["--node", "gpu-2"], "--node: gpu-2 is no node of the fleet; known: ada-laptop, gateway, gpu, headscale"),
        (["--node", "gateway"], "--node: gateway is a gateway and serves no model"),
        (["--model", "writer"], "--model: there is no model writer; known: coder, default"),
    ],
)
def test_weights_of_nobody_are_not_fetched(tmp_path: Path, arguments: list[str], reason: str) -> None:
    path = fleet(tmp_path, weights("catalogue", "Qwen3.6-27B/Q4_K_M").stdout)
    done = weights("fetch", path, *arguments, "--to", tmp_path / "weights")
    assert done.exit_code == 2
    assert reason in done.stderr


def test_the_command_needs_no_extra() -> None:
    program = """
import sys
for name in ("llama_cpp", "tree_sitter", "tantivy", "jinja2", "prometheus_client"):
    sys.modules[name] = None  # an import of it fails as if it were not installed
sys.argv = ["bawn", "weights", "--help"]
from bawn.cli import main
main()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert "Pin the weights" in run.stdout
