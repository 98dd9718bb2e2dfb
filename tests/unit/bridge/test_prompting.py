"""Prompts that fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.bridge.prompting import compose, estimated_tokens
from bawn.contracts.search import Chunk


def chunk(lines: int, name: str = "a.py") -> Chunk:
    text = "\n".join(f"line {i}" for i in range(lines))
    return Chunk(repo="r", path=name, start_line=5, end_line=4 + lines, language="python", text=text)


@given(st.lists(st.integers(1, 400), max_size=6), st.integers(200, 6000), st.integers(0, 300))
def test_the_prompt_stays_within_its_budget(sizes: list[int], budget: int, words: int) -> None:
    question = "why " * words
    prompt = compose(question, [chunk(lines) for lines in sizes], budget)
    sent = sum(estimated_tokens(message["content"]) for message in prompt.messages)
    assert not prompt.used or sent <= budget
    assert prompt.messages[-1]["content"].endswith(question)


def test_the_last_chunk_is_cut_at_a_line_and_says_so() -> None:
    prompt = compose("q", [chunk(10), chunk(1000, "b.py"), chunk(1, "c.py")], 600)
    assert [used.path for used in prompt.used] == ["a.py", "b.py"]
    cut = prompt.used[1]
    assert cut.end_line == cut.start_line + len(cut.text.splitlines()) - 1 < 1004
    assert f"b.py:5-{cut.end_line}" in prompt.messages[-1]["content"]


@pytest.mark.parametrize("text", ["```\nx\n```", "````"])
def test_code_with_fences_can_not_end_its_excerpt(text: str) -> None:
    excerpt = Chunk(repo="r", path="a.md", start_line=1, end_line=3, language="markdown", text=text)
    content = compose("q", [excerpt], 1000).messages[-1]["content"]
    fence = "`" * (5 if "````" in text else 4)
    assert f"{fence}markdown\n{text}\n{fence}\n" in content
