"""A GPU's memory against the length of the context, as an SVG that needs nothing beside itself."""

from html import escape
from typing import Final

from bawn.model_server.planner.comparison import CARDS_GIB
from bawn.model_server.planner.memory import CELLS, Context
from bawn.model_server.planner.plan import MIB, RESERVED, Part, Plan, parts
from bawn.model_server.planner.shape import Shape

_GIB: Final = 1 << 30
_WIDTH, _HEIGHT = 880, 540
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 760, 104, 452
"""The plot's own edges; right of it stand the cards."""
_POINTS: Final = 64
_STACK: Final[tuple[Part, ...]] = ("weights", "CUDA", "state", "compute", "KV")
"""From below: what does not grow with the context first."""
_STYLE: Final = """
    text { font: 13px system-ui, sans-serif; fill: #1b1f24 }
    .paper { fill: #ffffff } .title { font-size: 17px; font-weight: 600 } .small { font-size: 12px; fill: #57606a }
    .strong { font-weight: 700 } .grid { stroke: #d8dee4 } .axis { stroke: #57606a }
    .halo { stroke: #ffffff; stroke-width: 4; stroke-opacity: 0.65 } .card { stroke: #1b1f24; stroke-dasharray: 6 4 }
    .own { stroke: #1b1f24; stroke-width: 2 } .plan { stroke: #1b1f24; stroke-width: 2; stroke-dasharray: 2 3 }
    .weights { fill: #0072b2 } .CUDA { fill: #8c959f } .state { fill: #cc79a7 } .compute { fill: #e69f00 }
    .KV { fill: #009e73 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .paper { fill: #0d1117 } .small { fill: #9198a1 } .grid { stroke: #30363d }
      .axis { stroke: #9198a1 } .card, .own, .plan { stroke: #e6edf3 } .halo { stroke: #0d1117 }
      .weights { fill: #1f6fb2 } .CUDA { fill: #6e7681 } .state { fill: #b5638f } .compute { fill: #c98a05 }
      .KV { fill: #0b8a67 }
    }
"""


def plot(shape: Shape, plan: Plan) -> str:
    """The SVG: memory of all layers in GiB, stacked, with the slots and the cache of `plan`; a line for each card."""
    steps = [shape.trained_context * step // _POINTS for step in range(_POINTS)]
    lengths = [*sorted({step // CELLS * CELLS for step in steps}), shape.trained_context]
    taken = [_parts(shape, plan, tokens) for tokens in lengths]
    highest = sum(taken[-1].values()) / _GIB
    own = plan.vram_mib * MIB / _GIB
    cards = sorted([own, *(float(gib) for gib in CARDS_GIB if abs(gib / own - 1) > RESERVED)])
    shown = [gib for gib in cards if gib * (1 - RESERVED) <= 1.25 * highest]
    scale = _Scale(shape.trained_context, 1.06 * max([highest, *(gib * (1 - RESERVED) for gib in shown)]))
    title = f"{shape.name or shape.architecture}, {shape.quantisation}"
    said = f"Memory on the GPU with all layers there, {plan.slots} slots and a KV cache of {plan.kv_type}"
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title)}: {said}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
        _text(_LEFT, 30, title, "title"),
        _text(_LEFT, 52, said, "small"),
        *_legend(_parts(shape, plan, plan.context_tokens), plan.context_tokens),
        *_grid(scale),
        *_areas(scale, lengths, taken),
        *_cards(scale, shown, own),
        *_plan(scale, plan),
        *_axes(scale),
        _text(_LEFT, _HEIGHT - 16, _note(cards, shown), "small"),
        "</svg>",
    ]
    return "\n".join(drawn) + "\n"


class _Scale:
    def __init__(self, tokens: int, gib: float) -> None:
        self.tokens, self.gib = tokens, gib

    def x(self, tokens: int) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * tokens / self.tokens, 1)

    def y(self, gib: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * gib / self.gib, 1)

    def token_ticks(self) -> list[int]:
        step = 1
        while self.tokens / step > 8:
            step *= 2
        return list(range(0, self.tokens + 1, step))

    def gib_ticks(self) -> list[float]:
        step = next(step for step in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if self.gib / step <= 9)
        return [round(step * tick, 2) for tick in range(int(self.gib / step) + 1)]


def _parts(shape: Shape, plan: Plan, tokens: int) -> dict[Part, int]:
    return parts(shape, Context(tokens=tokens, slots=plan.slots, kv_type=plan.kv_type))


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    of = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{of}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{kind}"/>'


def _legend(taken: dict[Part, int], tokens: int) -> list[str]:
    drawn: list[str] = []
    x = _LEFT
    for part in reversed(_STACK):
        if taken[part]:
            drawn.append(f'<rect x="{x}" y="68" width="12" height="12" class="{part}"/>')
            text = f"{part} {taken[part] / _GIB:.2f} GiB"
            drawn.append(_text(x + 18, 79, text))
            x += 34 + 7 * len(text)
    return [*drawn, _text(x, 79, f"at {tokens:,} tokens", "small")]


def _grid(scale: _Scale) -> list[str]:
    return [_line(_LEFT, scale.y(gib), _RIGHT, scale.y(gib), "grid") for gib in scale.gib_ticks()]


def _areas(scale: _Scale, lengths: list[int], taken: list[dict[Part, int]]) -> list[str]:
    drawn: list[str] = []
    below = [0.0] * len(lengths)
    for part in _STACK:
        above = [under + sizes[part] / _GIB for under, sizes in zip(below, taken, strict=True)]
        edge = [(scale.x(tokens), scale.y(gib)) for tokens, gib in zip(lengths, above, strict=True)]
        edge += [(scale.x(tokens), scale.y(gib)) for tokens, gib in reversed([*zip(lengths, below, strict=True)])]
        drawn.append(f'<polygon class="{part}" points="{" ".join(f"{x},{y}" for x, y in edge)}"/>')
        below = above
    return drawn


def _cards(scale: _Scale, shown: list[float], own: float) -> list[str]:
    drawn: list[str] = []
    for gib in shown:
        y = scale.y(gib * (1 - RESERVED))
        drawn.append(_line(_LEFT, y, _RIGHT + 6, y, "halo"))
        drawn.append(_line(_LEFT, y, _RIGHT + 6, y, "own" if gib == own else "card"))
        drawn.append(_text(_RIGHT + 12, y + 4, f"{gib:.4g} GiB", "strong" if gib == own else ""))
    return drawn


def _plan(scale: _Scale, plan: Plan) -> list[str]:
    if not plan.whole:
        return []
    x = scale.x(plan.context_tokens)
    left = x > (_LEFT + _RIGHT) / 2
    return [
        _line(x, _TOP, x, _BOTTOM, "halo"),
        _line(x, _TOP, x, _BOTTOM, "plan"),
        _text(x + (-8 if left else 8), _TOP - 6, "the plan's context", "small", "end" if left else "start"),
    ]


def _axes(scale: _Scale) -> list[str]:
    middle = (_TOP + _BOTTOM) / 2
    return [
        _line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis"),
        _line(_LEFT, _TOP, _LEFT, _BOTTOM, "axis"),
        *(_text(_LEFT - 8, scale.y(gib) + 4, f"{gib:g}", anchor="end") for gib in scale.gib_ticks()),
        *(_text(scale.x(tokens), _BOTTOM + 20, _tokens(tokens), anchor="middle") for tokens in scale.token_ticks()),
        _text((_LEFT + _RIGHT) / 2, _BOTTOM + 42, "context, tokens (k: 1,024), shared by all slots", anchor="middle"),
        f'<text transform="translate(22 {middle}) rotate(-90)" text-anchor="middle">memory, GiB</text>',
    ]


def _tokens(tokens: int) -> str:
    return f"{tokens // 1024:,}k" if tokens % 1024 == 0 and tokens else f"{tokens:,}"


def _note(cards: list[float], shown: list[float]) -> str:
    kept = f"A card's line is at {1 - RESERVED:.0%} of it, since {RESERVED:.0%} are left free."
    larger = [gib for gib in cards if gib not in shown]
    return f"{kept} From {larger[0]:.4g} GiB on, cards have room for everything." if larger else kept
