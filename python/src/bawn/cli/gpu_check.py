"""`bawn gpu-check`."""

import sys

import click

from bawn.model_server.gpu.check import check_gpu


@click.command("gpu-check")
@click.option("--device", "devices", multiple=True, metavar="NAME", help="Device to check, e.g. CUDA0; CPU is one too.")
@click.option("--need-mib", type=click.IntRange(min=0), default=0, help="Memory that must be free, in MiB.")
def command(devices: tuple[str, ...], need_mib: int) -> None:
    """Check that llama.cpp computes on the GPU, and rightly.

    Runs a tiny matrix product, whose result is known, on every GPU. Exit status 0 when all is well, else 1, with one
    sentence for each thing that is wrong.
    """
    wrong, well = check_gpu(list(devices), need_mib=need_mib)
    for sentence in well:
        click.echo(sentence)
    for sentence in wrong:
        click.echo(f"bawn gpu-check: {sentence}", err=True)
    sys.exit(1 if wrong else 0)
