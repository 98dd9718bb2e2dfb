"""`bawn plan`: what of a model fits a GPU."""

import re
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bawn.contracts.errors import SettingsError
from bawn.model_server.engine.options import KvType
from bawn.model_server.planner.comparison import CARDS_GIB, Quantised, compare
from bawn.model_server.planner.gguf_header import read_header
from bawn.model_server.planner.memory import kv_bytes_per_token, state_bytes
from bawn.model_server.planner.plan import MIB, RESERVED, Plan, plan_for, slots_for
from bawn.model_server.planner.plot import plot
from bawn.model_server.planner.shape import Memory, Shape, shape_of

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(GiB|MiB|GB|MB|G|M)", re.IGNORECASE)
_UNITS = {"gib": 2**30, "mib": 2**20, "gb": 10**9, "mb": 10**6, "g": 2**30, "m": 2**20}
_LEGEND = """\
Context (k: 1,024 tokens) and type of the KV cache that fit; 9/33: only 9 of 33
layers do. * is this file. The weights of the others (MiB) are estimates, by the
rules of llama.cpp's own quantiser; files that somebody mixed by hand differ."""
_SHOWN: tuple[KvType, ...] = ("f16", "bf16", "q8_0", "q4_0")


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.gguf")
@click.option("--vram", default="24GiB", show_default=True, help="Memory of the GPU, e.g. 24GiB or 24564MiB.")
@click.option("--users", type=click.IntRange(min=1), help="People who ask at the same time.  [default: 4]")
@click.option("--plot", "drawing", type=click.Path(path_type=Path), help="Draw memory against context into an SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: Path, vram: str, users: int | None, drawing: Path | None, as_json: bool) -> None:
    """Say what of a model fits a GPU: context, slots, type of the KV cache, layers.

    Reads the header of MODEL.gguf only, so that its first megabytes are enough. Exit status 1 when not a single layer
    fits.
    """
    if drawing is not None and drawing.suffix != ".svg":
        raise SettingsError(f"--plot: {drawing}: drawings are SVG; give a name that ends in .svg.")
    header = read_header(model)
    shape = shape_of(header, str(model))
    slots = slots_for(users)
    plan = plan_for(shape, _bytes(vram), slots)
    compared = compare(header, str(model), slots)
    if drawing is not None:
        _write(drawing, plot(shape, plan))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_report(shape, plan, compared, header.missing))))
    else:
        _show(shape, plan, compared, header.missing)
    sys.exit(0 if plan.layers_on_gpu else 1)


def _bytes(size: str) -> int:
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise SettingsError(f"--vram: {size} is no size; give e.g. 24GiB or 24564MiB.")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _write(file: Path, drawing: str) -> None:
    try:
        file.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--plot: {file}: can't be written: {error.strerror}.") from error


def _own(compared: list[Quantised]) -> list[Plan]:
    return next(row.cards for row in compared if row.own)


def _report(shape: Shape, plan: Plan, compared: list[Quantised], missing: int) -> dict[str, object]:
    return {
        "model": {
            "name": shape.name,
            "architecture": shape.architecture,
            "quantisation": shape.quantisation,
            "trained_context": shape.trained_context,
            "weights_bytes": shape.weights + shape.input_weights,
            "gpu_weights_bytes": shape.weights,
            "kv_bytes_per_token": {kv_type: kv_bytes_per_token(shape, kv_type) for kv_type in _SHOWN},
            "state_bytes_per_slot": state_bytes(shape, 1),
            "missing_bytes": missing,
        },
        "plan": {**msgspec.to_builtins(plan), "settings": plan.settings},
        "cards": _own(compared),
        "quantisations": compared,
    }


def _show(shape: Shape, plan: Plan, compared: list[Quantised], missing: int) -> None:
    console = Console(highlight=False, soft_wrap=True)
    kinds: dict[Memory, str] = {
        "full": "attention",
        "window": f"sliding window of {shape.window}",
        "recurrent": "recurrent",
    }
    layers = ", ".join(f"{count} {text}" for kind, text in kinds.items() if (count := shape.count(kind)))
    console.print(f"{shape.name or 'Unnamed'}: {shape.architecture}, {shape.quantisation}, {layers} layers")
    gpu, host = shape.weights / MIB, shape.input_weights / MIB
    console.print(f"  weights         {gpu:,.0f} MiB on the GPU, {host:,.0f} MiB in main memory")
    tokens = ", ".join(f"{kv_type} {kv_bytes_per_token(shape, kv_type) / 1024:.4g} KiB" for kv_type in _SHOWN)
    console.print(f"  KV per token    {tokens}")
    if shape.state:
        console.print(f"  state per slot  {state_bytes(shape, 1) / MIB:.1f} MiB")
    console.print(f"  trained context {shape.trained_context:,} tokens")
    if missing:
        console.print(
            f"  The file lacks {missing:,} bytes, so its download is not complete; the plan is for all of it."
        )
    console.print(f"\nOn {plan.vram_mib:,} MiB: {_sentence(plan)}")
    for key, value in plan.settings.items() if plan.layers_on_gpu else ():
        console.print(f"  {key} = {msgspec.json.encode(value).decode()}")
    parts = {"weights": plan.weights_mib, "KV": plan.kv_mib, "state": plan.state_mib, "compute": plan.compute_mib}
    parts["CUDA"] = plan.cuda_mib
    console.print(f"  {' + '.join(f'{name} {mib:,}' for name, mib in parts.items())} MiB; {plan.free_mib:,} free")
    console.print(f"  ({RESERVED:.0%} of a card are always left free.)\n")
    console.print(_table(_own(compared)), "Sizes are MiB.\n", sep="\n")
    console.print(_comparison(compared), _LEGEND, sep="\n")


def _sentence(plan: Plan) -> str:
    if not plan.layers_on_gpu:
        return "not a single layer fits; take a smaller model or quantisation."
    if not plan.whole:
        return (
            f"only {plan.layers_on_gpu} of {plan.layers} layers fit, and the others make every token wait for the CPU; "
            "take a smaller quantisation."
        )
    return (
        f"all layers, {plan.context_tokens:,} tokens of context shared by {plan.slots} slots, KV cache {plan.kv_type}."
    )


def _columns(*names: str, padding: int) -> Table:
    # 80 characters, so that it stays a table where there is no terminal.
    table = Table(*names, box=None, padding=(0, padding, 0, 0), pad_edge=False)
    for column in table.columns:
        column.justify, column.no_wrap = "right", True
    return table


def _table(cards: list[Plan]) -> Table:
    names = ("card", "layers", "context", "slots", "KV", "weights", "cache", "state", "compute", "free")
    table = _columns(*names, padding=2)
    for plan in cards:
        fits = plan.layers_on_gpu > 0
        table.add_row(
            f"{plan.vram_mib // 1024} GiB",
            "all" if plan.whole else f"{plan.layers_on_gpu} of {plan.layers}",
            f"{plan.context_tokens:,}" if fits else "-",
            str(plan.slots) if fits else "-",
            plan.kv_type if fits else "-",
            *(f"{mib:,}" for mib in (plan.weights_mib, plan.kv_mib, plan.state_mib, plan.compute_mib, plan.free_mib)),
        )
    return table


def _comparison(compared: list[Quantised]) -> Table:
    table = _columns("quantisation", "weights", *(f"{gib} GiB" for gib in CARDS_GIB), padding=1)
    for row in compared:
        name = f"{row.quantisation}{' *' if row.own else ''}"
        table.add_row(name, f"{row.gpu_weights_bytes / MIB:,.0f}", *(_cell(plan) for plan in row.cards))
    return table


def _cell(plan: Plan) -> str:
    if plan.whole:
        return f"{plan.context_tokens / 1024:,.0f}k {plan.kv_type}"
    return f"{plan.layers_on_gpu}/{plan.layers}" if plan.layers_on_gpu else "-"
