"""`bawn bridge`."""

import asyncio
from pathlib import Path

import click

from bawn.bridge.app import make_bridge
from bawn.bridge.local_token import install_token, token_path
from bawn.bridge.settings import BridgeSettings, load
from bawn.service.logs import configure
from bawn.service.serving import check_port, leave, run_loop, serve
from bawn.service.settings import read_secret


@click.command(name="bridge")
@click.option("--settings", type=click.Path(path_type=Path, dir_okay=False), help="Default: bridge.toml.")
@click.option("--gateway", metavar="URL", help="The gateway, e.g. http://gateway:8700.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="File with the gateway's API key.")
@click.option("--host", help="Loopback address to listen on.")
@click.option("--port", type=int, help="Port to listen on.  [default: 8080]")
def command(
    settings: Path | None, gateway: str | None, key_file: Path | None, host: str | None, port: int | None
) -> None:
    """Serve the OpenAI API on this laptop and pass it to the gateway."""
    loaded = load(settings, gateway=gateway, key_file=key_file, host=host, port=port)
    key = read_secret(Path(loaded.key_file))
    token = install_token(token_path())
    check_port(loaded.host, loaded.port)
    configure()
    click.echo(f"bawn bridge: http://127.0.0.1:{loaded.port}/ → {loaded.gateway_url}", err=True)
    run_loop(_serve(loaded, key, token))
    leave()


async def _serve(settings: BridgeSettings, key: str, token: str) -> None:
    stopping = asyncio.Event()
    app = make_bridge(settings, key=key, token=token, stopping=stopping)
    await serve(app, settings.host, settings.port, name="bridge", on_stop=stopping.set)
