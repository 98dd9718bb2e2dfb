"""What is planned for a card, on headers of the size of real models."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import gguf
import pytest

from bawn.model_server.engine.options import sequences
from bawn.model_server.planner.gguf_header import read_header
from bawn.model_server.planner.memory import Context, compute_bytes, kv_bytes, state_bytes
from bawn.model_server.planner.plan import CUDA_BYTES, MIB, RESERVED, Plan, plan_for, slots_for
from bawn.model_server.planner.shape import Shape, shape_of
from support import shaped_gguf
from support.real_shapes import QWEN36_27B

GIB = 1 << 30


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shaped_gguf.write(tmp_path_factory.mktemp("plan") / "qwen36-27b.gguf", "qwen35", **QWEN36_27B)


@pytest.fixture(scope="module")
def shape(model: Path) -> Shape:
    return shape_of(read_header(model), str(model))


def _taken(shape: Shape, plan: Plan) -> int:
    context = Context(tokens=plan.context_tokens, slots=plan.slots, kv_type=plan.kv_type)
    state = state_bytes(shape, sequences(plan.slots, fim=True))
    return shape.weights + kv_bytes(shape, context) + state + compute_bytes(shape, context) + CUDA_BYTES


@pytest.mark.parametrize("gib", [20, 24, 32, 48, 80])
@pytest.mark.parametrize("slots", [1, 4, 16])
def test_a_plan_fits_and_a_longer_one_does_not(shape: Shape, gib: int, slots: int) -> None:
    plan = plan_for(shape, gib * GIB, slots)
    assert plan.whole
    assert _taken(shape, plan) <= gib * GIB * (1 - RESERVED)
    parts = plan.weights_mib + plan.kv_mib + plan.state_mib + plan.compute_mib + plan.cuda_mib
    assert parts + plan.free_mib == pytest.approx(plan.vram_mib, abs=6)
    if plan.context_tokens < shape.trained_context:
        longer = Context(tokens=plan.context_tokens + 1024, slots=slots, kv_type=plan.kv_type)
        more = kv_bytes(shape, longer) - plan.kv_mib * MIB
        assert _taken(shape, plan) + more + 1024 * 512 * 2 > gib * GIB * (1 - RESERVED)


def test_more_memory_never_plans_less(shape: Shape) -> None:
    plans = [plan_for(shape, gib * GIB, 4) for gib in range(8, 96, 4)]
    rank = ["q4_0", "q8_0", "f16"]
    for smaller, larger in itertools.pairwise(plans):
        assert smaller.layers_on_gpu <= larger.layers_on_gpu
        if smaller.whole:
            assert rank.index(smaller.kv_type) <= rank.index(larger.kv_type)


def test_the_finest_cache_with_room_for_every_slot_is_taken(shape: Shape) -> None:
    assert plan_for(shape, 80 * GIB, 4).kv_type == "f16"
    tight = plan_for(shape, 20 * GIB, 16)
    assert tight.kv_type in {"q8_0", "q4_0"}


def test_a_card_that_is_too_small_gets_as_many_layers_as_fit(shape: Shape) -> None:
    plan = plan_for(shape, 12 * GIB, 4)
    assert 0 < plan.layers_on_gpu < plan.layers == 65
    assert plan.settings["n_gpu_layers"] == plan.layers_on_gpu
    nothing = plan_for(shape, 1 * GIB, 4)
    assert nothing.layers_on_gpu == 0


def test_a_slot_is_planned_for_each_user_within_reason() -> None:
    assert [slots_for(users) for users in (None, 1, 8, 40)] == [4, 1, 8, 16]


def _bawn(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bawn.cli", "plan", *arguments], capture_output=True, text=True)


def test_the_command_prints_a_plan_that_people_can_read(model: Path) -> None:
    run = _bawn(str(model), "--vram", "24GiB", "--users", "8")
    assert run.returncode == 0, run.stderr
    assert "48 recurrent" in run.stdout
    assert "n_slots = 8" in run.stdout
    assert "download is not complete" in run.stdout
    for gib in (12, 16, 24, 32, 48, 80):
        assert f"{gib} GiB" in run.stdout


def test_the_command_prints_json_with_the_same_plan(model: Path, shape: Shape) -> None:
    run = _bawn(str(model), "--vram", "24564MiB", "--json")
    report = json.loads(run.stdout)
    plan = plan_for(shape, 24564 * MIB, 4)
    assert report["plan"]["settings"] == plan.settings
    assert report["plan"]["kv_mib"] == plan.kv_mib
    assert [card["vram_mib"] for card in report["cards"]] == [gib * 1024 for gib in (12, 16, 24, 32, 48, 80)]
    assert report["model"]["kv_bytes_per_token"]["f16"] == 16 * 2 * 4 * 256 * 2


def _comparison(printed: str) -> dict[str, str]:
    """Quantisation → its line."""
    lines = printed[printed.index("quantisation ") :].splitlines()[1:]
    return {line.split()[0]: line for line in lines if line.startswith(" ")}


def test_the_command_compares_quantisations_and_cards_within_80_columns(model: Path) -> None:
    run = _bawn(str(model), "--users", "8")
    table = run.stdout[run.stdout.index("quantisation ") :]
    assert max(len(line) for line in table.splitlines()) <= 80
    rows = _comparison(run.stdout)
    assert list(rows) == ["F16", "Q8_0", "Q6_K", "Q5_K_M", "IQ4_XS", "Q4_K_M", "Q3_K_M"]
    assert [name for name, line in rows.items() if " * " in line] == ["Q4_K_M"]
    assert "are estimates" in run.stdout
    # Sixteen bits a weight are too much for all cards but the largest, where the whole context fits.
    assert rows["F16"].split()[1:] == ["48,873", "11/65", "17/65", "27/65", "38/65", "59/65", "256k", "f16"]


def test_the_own_quantisation_is_in_the_comparison_with_the_sizes_of_the_file(model: Path, shape: Shape) -> None:
    report = json.loads(_bawn(str(model), "--json").stdout)
    own = [row for row in report["quantisations"] if row["own"]]
    assert [row["quantisation"] for row in own] == ["Q4_K_M"]
    assert own[0]["gpu_weights_bytes"] == shape.weights
    assert own[0]["cards"] == report["cards"]
    sizes = [row["gpu_weights_bytes"] for row in report["quantisations"]]
    assert sizes == sorted(sizes, reverse=True)


def test_a_quantisation_that_is_not_offered_has_a_row_of_its_own(tmp_path: Path) -> None:
    file_type = gguf.LlamaFileType.MOSTLY_Q4_1.value
    model = shaped_gguf.write(tmp_path / "q4_1.gguf", "llama", file_type=file_type, data=False)
    rows = _comparison(_bawn(str(model)).stdout)
    assert len(rows) == 8
    assert " * " in rows["Q4_1"]


def test_what_can_not_be_planned_is_said_in_one_sentence(tmp_path: Path, model: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"nothing like it")
    assert _bawn(str(other)).stderr == f"bawn: {other}: is not a GGUF file.\n"
    assert _bawn(str(model), "--vram", "much").stderr == "bawn: --vram: much is no size; give e.g. 24GiB or 24564MiB.\n"
    run = _bawn(str(model), "--vram", "1GiB")
    assert run.returncode == 1
    assert "not a single layer fits" in run.stdout
