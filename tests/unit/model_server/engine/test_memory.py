"""Ways back that give wrong logits without any error, in recurrent layers and sliding windows: none can be gone."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np
import numpy.typing as npt
import pytest

from bawn.model_server.engine.batch import Batch
from bawn.model_server.engine.memory import Span
from bawn.model_server.engine.options import EngineOptions
from bawn.model_server.engine.runtime import Aborted, Runtime
from support import tiny_gguf

PROMPT = [*range(40, 120)]
FIRST, OTHER = [*range(120, 150)], [*range(60, 75)]
Logits = npt.NDArray[np.float32]


WRITE: dict[str, Callable[[Path], Path]] = {
    "hybrid": tiny_gguf.write_hybrid,
    "windowed": lambda path: tiny_gguf.write_windowed(path, window=32),
}
both = pytest.mark.parametrize("runtime", WRITE, indirect=True)


@pytest.fixture
def runtime(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[Runtime]:
    model = WRITE[getattr(request, "param", "hybrid")](tmp_path / "m.gguf")
    made = Runtime(EngineOptions(model=model, n_ctx=512, n_slots=2, threads=1))
    yield made
    made.close()


def feed(runtime: Runtime, tokens: Sequence[int], at: int, sequence: int = 0) -> Logits:
    """Feed `tokens` from position `at` on; logits of the last one."""
    batch = Batch(runtime.n_batch, runtime.n_sequences)
    index = batch.add(sequence, at, tokens, outputs=1)
    assert runtime.decode(batch)
    return runtime.candidates.logits(runtime.context, index).copy()


def fresh(runtime: Runtime) -> Logits:
    """Logits after prompt and `OTHER`, cut as where a checkpoint lies between them."""
    runtime.memory.clear_all()
    feed(runtime, PROMPT, 0)
    logits = feed(runtime, OTHER, len(PROMPT))
    runtime.memory.clear_all()
    return logits


def end_of(runtime: Runtime) -> int:
    return int(llama.llama_memory_seq_pos_max(llama.llama_get_memory(runtime.context), 0))


@both
def test_a_checkpoint_brings_back_the_same_bits(runtime: Runtime) -> None:
    """What lies behind it goes with it: llama.cpp itself would leave those positions in the attention layers."""
    expected, memory = fresh(runtime), runtime.memory
    feed(runtime, PROMPT, 0)
    checkpoint = memory.checkpoint(0)
    feed(runtime, FIRST, len(PROMPT))
    assert memory.roll_back(0, checkpoint, len(PROMPT))
    assert end_of(runtime) == len(PROMPT) - 1
    assert np.array_equal(feed(runtime, OTHER, len(PROMPT)), expected)


def test_there_is_no_way_back_but_by_checkpoints(runtime: Runtime) -> None:
    """llama.cpp's own snapshots reach back no further than one call: the engine has none, and a cut empties."""
    feed(runtime, PROMPT, 0)
    feed(runtime, FIRST, len(PROMPT))
    for length in (len(PROMPT) + len(FIRST) - 1, len(PROMPT), 1):
        assert not runtime.memory.cut(0, length)
        assert end_of(runtime) == -1
        feed(runtime, PROMPT, 0)
        feed(runtime, FIRST, len(PROMPT))


@both
def test_a_step_that_was_broken_off_leaves_nothing_behind_a_checkpoint(runtime: Runtime) -> None:
    expected, memory = fresh(runtime), runtime.memory
    feed(runtime, PROMPT, 0)
    checkpoint = memory.checkpoint(0)
    feed(runtime, FIRST[:10], len(PROMPT))
    runtime.abort(True)
    with pytest.raises(Aborted):
        feed(runtime, FIRST[10:], len(PROMPT) + 10)
    runtime.abort(False)
    assert memory.roll_back(0, checkpoint, len(PROMPT))
    assert np.array_equal(feed(runtime, OTHER, len(PROMPT)), expected)


@both
def test_what_was_saved_and_loaded_gives_the_same_logits(runtime: Runtime) -> None:
    """llama.cpp saves no more of a window than what its sequence's end sees: the checkpoint has what a span lacks."""
    expected, memory = fresh(runtime), runtime.memory
    feed(runtime, PROMPT, 0)
    checkpoint = memory.checkpoint(0)
    spans = [Span(start, start + 40, memory.save(0, start, start + 40)) for start in (0, 40)]
    feed(runtime, FIRST, len(PROMPT))
    assert memory.load(1, 0, spans, checkpoint, len(PROMPT))
    assert np.allclose(feed(runtime, OTHER, len(PROMPT), sequence=1), expected, atol=0.02)
