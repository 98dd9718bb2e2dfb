"""`bawn up`: the chain on this machine, until Ctrl-C."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import click

from bawn.chain.indexing import index, keep_current
from bawn.chain.layout import Layout, Ports
from bawn.chain.supervisor import Chain
from bawn.contracts.errors import SettingsError
from bawn.model_server.settings import default_model_path
from bawn.service.settings import config_dir, state_dir

_REINDEX_S = 60.0


def chosen_model(named: Path | None) -> Path:
    """The GGUF that was named by flag or `BAWN_MODEL`, or the embedded one.

    Raises:
        SettingsError: it isn't there.
    """
    path = named or default_model_path()
    if path is None:
        raise SettingsError("No model: name a GGUF file with --model or BAWN_MODEL.")
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file; --model and BAWN_MODEL take the path of a GGUF.")
    return path.absolute()


@click.command("up")
@click.option("--model", type=click.Path(path_type=Path), envvar="BAWN_MODEL", help="A GGUF with a chat template.")
@click.option(
    "--ports", type=int, nargs=3, default=(8000, 8700, 8080), show_default=True, help="Model server, gateway, bridge."
)
@click.option(
    "--repo",
    "repos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="Index this folder.  [default: here]",
)
@click.option("--dir", "root", type=click.Path(path_type=Path), help="Where settings, index and logs are kept.")
def command(model: Path | None, ports: tuple[int, int, int], repos: tuple[Path, ...], root: Path | None) -> None:
    """Keep model server, gateway and bridge running on this machine until Ctrl-C."""
    layout = Layout((root or state_dir() / "up").absolute(), config_dir())
    chain = Chain(layout, Ports(*ports), chosen_model(model))
    chain.check()
    asyncio.run(_until_told(chain, repos or (Path.cwd(),)))


async def _until_told(chain: Chain, repos: tuple[Path, ...]) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    chain.layout.prepare(chain.ports, chain.model)
    index(chain.layout, repos)
    async with chain.running(click.echo):
        for service in chain.services:
            click.echo(f"  {service.name:<13} pid {service.pid}")
        click.echo(f"\nReady: {chain.ports.bridge_url}/ is the status page. Logs: {_short(chain.layout.logs)}")
        click.echo("Point a client at it: bawn connect opencode, bawn connect continue. Ctrl-C ends it.")
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(chain.keep_up(click.echo)),
            asyncio.create_task(keep_current(chain.layout, _REINDEX_S)),
            asyncio.create_task(stop.wait()),
        ]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        click.echo("\nstopping …")
        for task in done:
            task.result()
    click.echo("Everything is stopped.")


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
