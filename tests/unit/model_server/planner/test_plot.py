"""The drawing of memory against context."""

import itertools
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bawn.model_server.planner.gguf_header import read_header
from bawn.model_server.planner.plan import plan_for
from bawn.model_server.planner.plot import plot
from bawn.model_server.planner.shape import Shape, shape_of
from support import shaped_gguf
from support.real_shapes import QWEN36_27B

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shaped_gguf.write(tmp_path_factory.mktemp("plot") / "qwen36-27b.gguf", "qwen35", **QWEN36_27B)


@pytest.fixture(scope="module")
def shape(model: Path) -> Shape:
    return shape_of(read_header(model), str(model))


def _drawn(shape: Shape, gib: int) -> ElementTree.Element:
    return ElementTree.fromstring(plot(shape, plan_for(shape, gib << 30, 4)))


def _texts(drawing: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in drawing.iter(f"{SVG}text")]


def _points(drawing: ElementTree.Element, kind: str) -> list[tuple[float, float]]:
    area = next(area for area in drawing.iter(f"{SVG}polygon") if area.get("class") == kind)
    return [tuple(map(float, point.split(","))) for point in str(area.get("points")).split()]  # type: ignore[misc]


def test_every_part_is_an_area_and_stands_on_the_one_below(shape: Shape) -> None:
    drawing = _drawn(shape, 24)
    kinds = [area.get("class") for area in drawing.iter(f"{SVG}polygon")]
    assert kinds == ["weights", "CUDA", "state", "compute", "KV"]
    for below, above in itertools.pairwise(kinds):
        lower, upper = _points(drawing, str(below)), _points(drawing, str(above))
        assert lower[: len(lower) // 2] == upper[: len(upper) // 2 - 1 : -1]


def test_the_line_of_the_plan_meets_that_of_its_card_where_memory_ends(shape: Shape) -> None:
    drawing = _drawn(shape, 24)
    lines = {line.get("class"): line for line in drawing.iter(f"{SVG}line")}
    x, card = float(str(lines["plan"].get("x1"))), float(str(lines["own"].get("y1")))
    cache = _points(drawing, "KV")
    edge = cache[: len(cache) // 2]
    before = [y for at, y in edge if at <= x]
    after = [y for at, y in edge if at > x]
    assert before[-1] >= card >= after[0], "up is less in an SVG"


def test_axes_have_names_and_units_and_cards_have_lines(shape: Shape) -> None:
    texts = _texts(_drawn(shape, 24))
    assert "memory, GiB" in texts
    assert "context, tokens (k: 1,024), shared by all slots" in texts
    assert {"12 GiB", "16 GiB", "24 GiB"} <= set(texts)
    assert any(re.match(r"weights 13\.\d\d GiB", text) for text in texts)
    assert any("From 48 GiB on, cards have room for everything." in text for text in texts)


@pytest.mark.parametrize("gib", [1, 12, 80, 640])
def test_a_plan_of_any_size_is_drawn_inside_its_picture(shape: Shape, gib: int) -> None:
    drawing = _drawn(shape, gib)
    _, _, width, height = map(float, str(drawing.get("viewBox")).split())
    for line in drawing.iter(f"{SVG}line"):
        assert all(0 <= float(str(line.get(at))) <= width for at in ("x1", "x2"))
        assert all(0 <= float(str(line.get(at))) <= height for at in ("y1", "y2"))
    assert all(0 <= y <= height for x, y in _points(drawing, "KV"))


def test_a_drawing_needs_nothing_from_elsewhere_and_has_colours_for_the_dark(shape: Shape) -> None:
    text = plot(shape, plan_for(shape, 24 << 30, 4))
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(script|image|use|foreignObject)\b|\burl\(|@import", text)


def test_a_name_from_a_file_stays_a_text(tmp_path: Path) -> None:
    path = shaped_gguf.write(tmp_path / "odd.gguf", "llama", data=False)
    path.write_bytes(path.read_bytes().replace(b"Shaped llama", b"<b>&\"'</b>.."))
    odd = shape_of(read_header(path), str(path))
    assert f"{odd.name}, F32" in _texts(_drawn(odd, 24))


def _bawn(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bawn.cli", "plan", *arguments], capture_output=True, text=True)


def test_the_command_writes_the_drawing_beside_what_it_prints(tmp_path: Path, model: Path, shape: Shape) -> None:
    drawing = tmp_path / "plan.svg"
    run = _bawn(str(model), "--vram", "24GiB", "--plot", str(drawing))
    assert run.returncode == 0, run.stderr
    assert drawing.read_text(encoding="utf-8") == plot(shape, plan_for(shape, 24 << 30, 4))


def test_a_drawing_that_can_not_be_written_is_told(tmp_path: Path, model: Path) -> None:
    nowhere = tmp_path / "none" / "plan.svg"
    said = f"bawn: --plot: {nowhere}: can't be written: No such file or directory.\n"
    assert _bawn(str(model), "--plot", str(nowhere)).stderr == said
    said = "bawn: --plot: plan.png: drawings are SVG; give a name that ends in .svg.\n"
    assert _bawn(str(model), "--plot", "plan.png").stderr == said
