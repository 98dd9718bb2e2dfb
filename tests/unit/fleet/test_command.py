"""`bawn fleet` on a command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bawn.cli.main import cli

EXAMPLES = Path(__file__).parent / "examples"
OWN = str(EXAMPLES / "own-gpu.toml")
BROKEN = Path(__file__).parent / "broken"


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def fleet(*args: str) -> Result:
    return CliRunner().invoke(cli, ["fleet", *args])


def test_check_says_what_is_in_a_good_fleet() -> None:
    result = fleet("check", OWN)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{OWN}: good. Fleet example: people: 2; nodes: 1 headscale, 1 gateway, 1 gpu, 2 laptop.\n"


@pytest.mark.parametrize("name", ["no-gpu", "values-of-wrong-types"])
def test_check_prints_every_problem_and_ends_with_1(name: str) -> None:
    path = BROKEN / f"{name}.toml"
    result = fleet("check", str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert len(lines) > 1
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_a_file_that_is_not_there_is_named() -> None:
    result = fleet("check", "/nowhere/fleet.toml")
    assert result.exit_code == 2
    assert "/nowhere/fleet.toml: can't be read" in result.stderr


def test_render_writes_the_files_and_names_them(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    result = fleet("render", OWN, "--node", "gateway", "--out", str(out), "--host", "100.64.0.2")
    assert (result.exit_code, result.stdout) == (0, f"{out / 'gateway.json'}\n")
    assert [path.name for path in out.iterdir()] == ["gateway.json"]
    assert '"host": "100.64.0.2"' in (out / "gateway.json").read_text(encoding="utf-8")


def test_render_of_headscale_makes_an_empty_folder(tmp_path: Path) -> None:
    result = fleet("render", OWN, "--node", "headscale", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0
    assert list((tmp_path / "out").iterdir()) == []


def test_render_writes_nothing_of_a_fleet_that_cannot_work(tmp_path: Path) -> None:
    path = BROKEN / "model-does-not-fit.toml"
    result = fleet("render", str(path), "--node", "gpu", "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "nodes.gpu.vram_mib: coder needs" in result.stderr
    assert not (tmp_path / "out").exists()


def test_render_leaves_the_memory_of_the_host_to_who_knows_its_units(tmp_path: Path) -> None:
    path = BROKEN / "gateway-with-too-little-memory.toml"
    assert fleet("render", str(path), "--node", "gateway", "--out", str(tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--node", "gatway"], "--node: gatway is no node"),
        (["--node", "gateway", "--host", "0.0.0.0"], "--host: 0.0.0.0 is every network"),
        (["--node", "gpu", "--host", "::"], "--host: :: is every network"),
        (["--node", "gpu", "--host", "gpu"], "--host: gpu is no IP address"),
        (["--node", "ada-laptop", "--host", "100.64.0.9"], "--host: a bridge listens on loopback only"),
        (["--node", "ada-laptop", "--key-file", "~/key"], "--key-file: ~/key is no absolute path"),
        (["--node", "gpu", "--weights-dir", "models"], "--weights-dir: models is no absolute path"),
    ],
)
def test_render_refuses_what_cannot_work_and_writes_nothing(args: list[str], message: str, tmp_path: Path) -> None:
    result = fleet("render", OWN, "--out", str(tmp_path / "out"), *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_render_says_when_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = fleet("render", OWN, "--node", "gpu", "--out", str(tmp_path / "file" / "out"))
    assert result.exit_code == 2
    assert "--out:" in result.stderr
    assert "can't be written" in result.stderr


def row(output: str, first: str) -> list[str]:
    return next(line.split() for line in output.splitlines() if line.split()[:1] == [first])


def test_show_prints_who_reaches_what_and_who_may_use_what() -> None:
    result = fleet("show", OWN)
    assert result.exit_code == 0
    assert row(result.stdout, "from")[-3:] == ["headscale", "gateway", "gpu"]
    assert row(result.stdout, "grace-laptop")[1:] == ["(laptop)", "443*,", "3478/udp*", "8700", "-"]
    assert row(result.stdout, "gateway")[-1] == "8000"
    assert row(result.stdout, "ada") == ["ada", "ada@example.org", "ada-laptop", "coder", "code", "yes"]
    assert "Nobody reaches ada-laptop, grace-laptop." in result.stdout


def test_show_says_that_a_managed_tailnet_has_servers_elsewhere() -> None:
    assert "Every node also reaches Tailscale's servers" in fleet("show", str(EXAMPLES / "pods.toml")).stdout
    assert "Tailscale" not in fleet("show", OWN).stdout


def test_show_loses_no_letter_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert "…" not in fleet("show", str(EXAMPLES / "contractors.toml")).stdout


def test_policy_goes_to_the_terminal_or_into_a_file(tmp_path: Path) -> None:
    shown = fleet("policy", OWN)
    out = tmp_path / "deep" / "policy.json"
    written = fleet("policy", OWN, "--for", "headscale", "--out", str(out))
    assert (shown.exit_code, written.exit_code, written.stdout) == (0, 0, f"{out}\n")
    assert out.read_text(encoding="utf-8") == shown.stdout
    assert [path.name for path in out.parent.iterdir()] == ["policy.json"]


def test_policy_judges_one_that_is_given(tmp_path: Path) -> None:
    given = tmp_path / "policy.json"
    fleet("policy", OWN, "--out", str(given))
    good = fleet("policy", OWN, "--check", str(given))
    assert (good.exit_code, good.stdout) == (0, f"{given}: good. It grants what {OWN} means, and nothing else.\n")
    given.write_text(given.read_text(encoding="utf-8").replace("tcp:8000", "tcp:8000-8001"), encoding="utf-8")
    bad = fleet("policy", OWN, "--check", str(given))
    assert (bad.exit_code, bad.stdout) == (1, "")
    assert bad.stderr.splitlines() == [
        f"{given}: grants too much: gateway to gpu, tcp port 8001: allowed by the policy, denied by the fleet."
    ]


def test_policy_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    given = tmp_path / "policy.json"
    given.write_text('{"grants": [], "acls": []}', encoding="utf-8")
    result = fleet("policy", OWN, "--check", str(given))
    assert result.exit_code == 2
    assert "unknown field `acls`" in result.stderr


def test_policy_either_judges_or_writes() -> None:
    result = fleet("policy", OWN, "--check", "p.json", "--out", "q.json")
    assert result.exit_code == 2
    assert "leave out --for and --out" in result.stderr
