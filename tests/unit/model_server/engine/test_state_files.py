"""Beginnings of prompts on disk: whole, of this very model, or not taken at all."""

from pathlib import Path

import llama_cpp
import numpy as np
import pytest

from bawn.model_server.engine.memory import NOTHING
from bawn.model_server.engine.prefixes import PrefixTree
from bawn.model_server.engine.state_files import FILE, fingerprint, load, save
from support import tiny_gguf
from support.engines import engine_on, submit, text_of

MADE_WITH = b"m" * 32


def tree(*, limit: int = 1 << 20) -> PrefixTree:
    return PrefixTree(limit, whole=False)


def grown() -> PrefixTree:
    made = tree()
    data = np.arange(1000, dtype=np.uint8)
    first = made.add(None, [1, 2, 3], data, NOTHING)
    made.add(first, [4, 5], data[::-1].copy(), np.full(7, 9, np.uint8))
    made.add(first, [6], data, NOTHING)
    return made


def same(a: PrefixTree, b: PrefixTree) -> bool:
    def content(one: PrefixTree) -> list[tuple[list[int], bytes, bytes, int]]:
        return sorted((s.tokens, s.data.tobytes(), s.state.tobytes(), s.start) for s in one.segments())

    return content(a) == content(b) and a.bytes == b.bytes


@pytest.mark.parametrize("key", [b"", b"secret"])
def test_what_was_saved_is_loaded(tmp_path: Path, key: bytes) -> None:
    saved, loaded = grown(), tree()
    save(saved, tmp_path / "new" / "state", MADE_WITH, key)
    assert load(loaded, tmp_path / "new" / "state", MADE_WITH, key)
    assert same(saved, loaded)
    assert loaded.match([1, 2, 3, 4, 5, 7], 6).length == 5
    assert ((tmp_path / "new" / "state").stat().st_mode & 0o777) == 0o700
    assert ((tmp_path / "new" / "state" / FILE).stat().st_mode & 0o777) == 0o600


def test_what_was_used_last_is_known_after_a_restart(tmp_path: Path) -> None:
    clock = [1000.0]
    saved, loaded = (PrefixTree(1 << 20, whole=False, now=lambda: clock[0]) for _ in range(2))
    for token in (1, 2, 3):
        saved.add(None, [token], np.zeros(9, np.uint8), NOTHING)
        clock[0] += 60
    saved.match([1], 1)
    save(saved, tmp_path, MADE_WITH)
    clock[0] = 5000.0
    assert load(loaded, tmp_path, MADE_WITH)
    assert [one.tokens for one in loaded.latest()] == [[1], [3], [2]]
    assert [loaded.idle_s(one) for one in loaded.latest()] == [0, 60, 120]


@pytest.mark.parametrize(("made_with", "key"), [(b"n" * 32, b"k"), (MADE_WITH, b"other"), (MADE_WITH, b"")])
def test_another_models_state_and_another_key_are_refused(tmp_path: Path, made_with: bytes, key: bytes) -> None:
    save(grown(), tmp_path, MADE_WITH, b"k")
    loaded = tree()
    assert not load(loaded, tmp_path, made_with, key)
    assert len(loaded) == 0


def test_with_a_key_no_token_and_no_state_can_be_read_in_the_file(tmp_path: Path) -> None:
    made, secret = tree(), b"the state of a secret prompt"
    made.add(None, list(secret), np.frombuffer(secret * 10, np.uint8), NOTHING)
    save(made, tmp_path, MADE_WITH, b"k")
    content = (tmp_path / FILE).read_bytes()
    assert secret not in content
    assert bytes([0x9C, *secret[:6]]) not in content


def test_a_file_that_is_damaged_anywhere_gives_only_what_is_whole(tmp_path: Path) -> None:
    whole = grown()
    save(whole, tmp_path, MADE_WITH)
    content = (tmp_path / FILE).read_bytes()
    for at in range(0, len(content), 37):
        damaged = bytearray(content)
        damaged[at] ^= 1
        (tmp_path / FILE).write_bytes(damaged)
        loaded = tree()
        load(loaded, tmp_path, MADE_WITH)
        assert len(loaded) < 3
        assert all(any(one.tokens == other.tokens for other in whole.segments()) for one in loaded.segments())
    for end in range(0, len(content), 101):
        (tmp_path / FILE).write_bytes(content[:end])
        loaded = tree()
        assert not load(loaded, tmp_path, MADE_WITH) or len(loaded) < 3


def test_nothing_there_is_no_error_and_a_full_tree_takes_no_more(tmp_path: Path) -> None:
    assert not load(tree(), tmp_path, MADE_WITH)
    save(grown(), tmp_path, MADE_WITH)
    small = tree(limit=1500)
    load(small, tmp_path, MADE_WITH)
    assert len(small) == 1


def test_a_fingerprint_is_of_the_file_the_version_and_what_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = tiny_gguf.write(tmp_path / "a.gguf", seed=1)
    b = tiny_gguf.write(tmp_path / "b.gguf", seed=2)
    same_name = fingerprint(a, "f16")
    assert a.stat().st_size == b.stat().st_size
    assert len({same_name, fingerprint(b, "f16"), fingerprint(a, "q8_0")}) == 3
    assert fingerprint(a, "f16") == same_name
    monkeypatch.setattr(llama_cpp, "__version__", "0.0.1")
    assert fingerprint(a, "f16") != same_name


@pytest.mark.parametrize("write", [tiny_gguf.write, tiny_gguf.write_hybrid, tiny_gguf.write_recurrent])
async def test_an_engine_that_was_stopped_goes_on_with_its_sessions(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    model = write(tmp_path / "m.gguf")
    prompt = "a long prompt that is fed only once " * 12
    options = {"cache_mib": 16, "state_dir": tmp_path / "state", "state_key": b"k"}
    async with engine_on(model, **options) as engine:
        first = submit(engine, prompt, max_tokens=8)
        await text_of(first)
    answer = first.sequence.tokens[len(prompt) :]
    async with engine_on(model, **options) as engine:
        assert engine.scheduler is not None
        # It is in a slot already, so that its next turn waits for nothing to be loaded.
        assert max(len(slot.held) for slot in engine.scheduler.slots) >= len(prompt) - 1
        again = submit(engine, prompt, max_tokens=8)
        await text_of(again)
        assert again.progress.cached_tokens >= len(prompt) - 1
        assert again.sequence.tokens[len(prompt) :] == answer
    async with engine_on(model, **{**options, "kv_type": "q8_0"}) as engine:
        other = submit(engine, prompt, max_tokens=8)
        await text_of(other)
        assert other.progress.cached_tokens == 0
