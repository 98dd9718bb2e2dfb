"""What the engine starts with: the plan for the GPUs' free memory, and steps back where memory is refused."""

import logging
from pathlib import Path
from typing import Any

import pytest

from bawn.contracts.errors import SettingsError
from bawn.model_server.engine import runtime
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.runtime import Runtime
from bawn.model_server.gpu.devices import Device, Hardware
from bawn.model_server.planner.gguf_header import read_header
from bawn.model_server.planner.plan import plan_for
from bawn.model_server.planner.shape import shape_of
from bawn.model_server.planner.start import Allocation, allocations, planned, refusal
from support import shaped_gguf, tiny_gguf
from support.real_shapes import QWEN36_27B

GIB = 1024  # in MiB


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shaped_gguf.write(tmp_path_factory.mktemp("start") / "qwen36-27b.gguf", "qwen35", **QWEN36_27B)


def _options(model: Path, **options: Any) -> EngineOptions:
    return EngineOptions(model=model, **options)


def _after(asked: EngineOptions, *, start: EngineOptions | None = None, trained: int) -> list[tuple[int, str]]:
    return [(step.tokens, step.kv_type) for step in allocations(asked, start or asked, trained)]


def test_what_is_not_set_is_planned_for_the_free_memory(large: Path) -> None:
    shape = shape_of(read_header(large), str(large))
    for gib in (20, 24, 32, 48):
        start = planned(_options(large), -1, [gib * GIB])
        plan = plan_for(shape, gib << 30, 4)
        assert (start.n_ctx, start.kv_type, start.n_slots) == (plan.context_tokens, plan.kv_type, 4)


@pytest.mark.parametrize("n_ctx", [0, 200000])
def test_a_plan_is_told_in_the_log(large: Path, caplog: pytest.LogCaptureFixture, n_ctx: int) -> None:
    with caplog.at_level(logging.INFO, "bawn"):
        start = planned(_options(large, n_ctx=n_ctx), -1, [24 * GIB])
    told = next(record for record in caplog.records if record.msg == "planned")
    assert told.fields["context"] == start.n_ctx  # type: ignore[attr-defined]
    assert told.fields["kv_type"] == start.kv_type  # type: ignore[attr-defined]


@pytest.mark.parametrize("free_mib", [[], [24 * GIB]])
def test_what_is_set_stays(large: Path, free_mib: list[int]) -> None:
    asked = _options(large, n_ctx=1 << 20, kv_type="f16")
    assert planned(asked, -1, free_mib) == asked


def test_with_a_cache_that_is_set_the_context_is_planned_for_it(large: Path) -> None:
    fine = planned(_options(large, kv_type="f16"), -1, [24 * GIB])
    coarse = planned(_options(large, kv_type="q4_0"), -1, [24 * GIB])
    assert (fine.kv_type, coarse.kv_type) == ("f16", "q4_0")
    assert 4096 < fine.n_ctx < coarse.n_ctx


def test_with_a_context_that_is_set_the_finest_cache_is_planned_for_it(large: Path) -> None:
    kinds = [planned(_options(large, n_ctx=n_ctx), -1, [24 * GIB]).kv_type for n_ctx in (65536, 200000, 262144)]
    assert kinds == ["f16", "q8_0", "q4_0"]


def test_without_a_gpu_nothing_is_planned(large: Path) -> None:
    asked = _options(large)
    assert planned(asked, 0, []) == asked


def test_two_gpus_hold_more_than_one_and_less_than_one_of_both_sizes(large: Path) -> None:
    one, two, whole = (planned(_options(large), -1, free).n_ctx for free in ([18 * GIB], [13 * GIB] * 2, [26 * GIB]))
    assert one < two < whole


def test_a_model_that_does_not_fit_is_refused_with_the_layers_that_do(large: Path) -> None:
    shape = shape_of(read_header(large), str(large))
    fitting = plan_for(shape, 12 << 30, 4).layers_on_gpu
    with pytest.raises(SettingsError) as refused:
        planned(_options(large), -1, [12 * GIB])
    said = str(refused.value)
    assert said.startswith("n_gpu_layers: is not set, which means all, but 65 layers with a context of ")
    assert "and 11919 of 12288 free MiB on the GPU may be used" in said
    assert f"set n_gpu_layers = {fitting} and let the CPU compute the rest" in said
    start = planned(_options(large, n_gpu_layers=fitting), fitting, [12 * GIB])
    assert start.n_ctx >= 4096


def test_a_cache_that_is_set_too_fine_is_named_where_a_coarser_one_fits(large: Path) -> None:
    sizes = range(14 * GIB, 17 * GIB, 8)
    shape = shape_of(read_header(large), str(large))
    tight = next(mib for mib in sizes if plan_for(shape, mib << 20, 1).whole)
    with pytest.raises(SettingsError, match=r"^n_gpu_layers: is -1, .*; set a coarser kv_type\.$"):
        planned(_options(large, n_slots=1, n_gpu_layers=-1, kv_type="f16"), -1, [tight])


def test_an_architecture_that_the_planner_does_not_know_starts_as_if_nothing_were_planned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = shaped_gguf.write(tmp_path / "new.gguf", "llama", data=False)
    path.write_bytes(path.read_bytes().replace(b"llama", b"lxama", 1))
    asked = _options(path)
    assert planned(asked, -1, [24 * GIB]) == asked
    assert [record.msg for record in caplog.records] == ["not_planned"]
    assert _after(asked, trained=32768) == [(8192, "f16"), (4096, "f16")]


def test_steps_back_are_coarser_caches_and_then_halves_down_to_what_is_of_use(large: Path) -> None:
    asked = _options(large)
    start = planned(asked, -1, [48 * GIB])
    assert _after(asked, start=start, trained=262144) == [
        (262144, "f16"),
        (262144, "q8_0"),
        (262144, "q4_0"),
        (131072, "q4_0"),
        (65536, "q4_0"),
        (32768, "q4_0"),
        (16384, "q4_0"),
        (8192, "q4_0"),
        (4096, "q4_0"),
    ]


def test_steps_back_leave_alone_what_is_set(large: Path) -> None:
    assert _after(_options(large, kv_type="f16"), trained=262144) == [(8192, "f16"), (4096, "f16")]
    assert _after(_options(large, n_ctx=9000), trained=262144) == [(9000, "f16"), (9000, "q8_0"), (9000, "q4_0")]
    assert _after(_options(large, n_ctx=9000, kv_type="q8_0"), trained=262144) == [(9000, "q8_0")]


def test_a_model_that_was_trained_for_less_is_not_halved(tmp_path: Path) -> None:
    model = tiny_gguf.write(tmp_path / "tiny.gguf", n_ctx=2048)
    assert _after(_options(model, kv_type="f16"), trained=2048) == [(2048, "f16")]


def test_heads_that_a_type_can_not_cut_into_blocks_have_no_coarser_cache(tmp_path: Path) -> None:
    model = shaped_gguf.write(tmp_path / "odd.gguf", "llama", length=40)
    assert _after(_options(model), trained=32768) == [(8192, "f16"), (4096, "f16")]
    assert planned(_options(model), -1, [2 * GIB]).kv_type == "f16"
    with pytest.raises(
        SettingsError, match=r"kv_type: this model can't have a KV cache of q8_0; llama\.cpp says: .*40"
    ):
        Runtime(_options(model, kv_type="q8_0", threads=1))


def test_a_refusal_names_the_mend() -> None:
    asked = _options(Path("m.gguf"), n_ctx=9000, kv_type="f16")
    assert refusal(asked, Allocation(9000, "f16"), "out of memory") == (
        "n_ctx: is 9000, and there is no memory for a context of 9000 tokens with a KV cache of f16; lower it, or set "
        "a coarser kv_type. llama.cpp says: out of memory"
    )
    assert refusal(_options(Path("m.gguf")), Allocation(4096, "q4_0"), "") == (
        "There is no memory even for a context of 4096 tokens with a KV cache of q4_0: free some, or take a smaller "
        "model or quantisation. llama.cpp says: nothing"
    )


def test_a_runtime_on_a_gpu_opens_the_planned_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a card that only this test believes in: the build computes on the CPU all the same."""
    card = Device(name="CUDA0", description="a card", kind="GPU", free_mib=700, total_mib=24000)
    found = Hardware(backends=["CUDA", "CPU"], devices=[card], offloads=True)
    monkeypatch.setattr(runtime, "hardware", lambda: found)
    monkeypatch.setattr(runtime, "missing_layers", lambda *_: None)
    model = shaped_gguf.write(tmp_path / "model.gguf", "llama", kv_heads=8)
    plan = plan_for(shape_of(read_header(model), str(model)), 700 << 20, 4)
    assert plan.context_tokens > 8192
    opened = Runtime(_options(model, threads=1))
    assert opened.n_ctx == plan.context_tokens
    opened.close()
    set_by_hand = Runtime(_options(model, threads=1, n_ctx=1024))
    assert set_by_hand.n_ctx == 1024
    set_by_hand.close()
