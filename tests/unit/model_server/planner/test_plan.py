"""What is planned for a card, on headers of the size of real models."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import gguf
import pytest

from bawn.model_server.planner.gguf_header import read_header
from bawn.model_server.planner.memory import Context, compute_bytes, kv_bytes, state_bytes
from bawn.model_server.planner.plan import CUDA_BYTES, MIB, RESERVED, Plan, plan_for, slots_for
from bawn.model_server.planner.shape import Shape, shape_of
from support import shaped_gguf

GIB = 1 << 30
QWEN36_27B = {
    "layers": 64,
    "embd": 5120,
    "ff": 17408,
    "heads": 24,
    "kv_heads": 4,
    "length": 256,
    "rope": 64,
    "vocabulary": 248320,
    "ssm": {"conv_kernel": 4, "inner_size": 6144, "state_size": 128, "time_step_rank": 48, "group_count": 16},
    "type": gguf.GGMLQuantizationType.Q4_K,
    "trained": 262144,
    "data": False,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shaped_gguf.write(tmp_path_factory.mktemp("plan") / "qwen36-27b.gguf", "qwen35", **QWEN36_27B)


@pytest.fixture(scope="module")
def shape(model: Path) -> Shape:
    return shape_of(read_header(model), str(model))


def _taken(shape: Shape, plan: Plan) -> int:
    context = Context(tokens=plan.context_tokens, slots=plan.slots, kv_type=plan.kv_type)
    whole = shape.weights + kv_bytes(shape, context) + state_bytes(shape, plan.slots) + compute_bytes(shape, context)
    return whole + CUDA_BYTES


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


def test_what_can_not_be_planned_is_said_in_one_sentence(tmp_path: Path, model: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"nothing like it")
    assert _bawn(str(other)).stderr == f"bawn: {other}: is not a GGUF file.\n"
    assert _bawn(str(model), "--vram", "much").stderr == "bawn: --vram: much is no size; give e.g. 24GiB or 24564MiB.\n"
    run = _bawn(str(model), "--vram", "1GiB")
    assert run.returncode == 1
    assert "not a single layer fits" in run.stdout
