"""`bawn model-server`."""

from pathlib import Path

import click
import msgspec

from bawn.model_server.server import check, run
from bawn.model_server.settings import ModelServerSettings
from bawn.service import logs
from bawn.service.serving import leave, run_loop
from bawn.service.settings import read_settings


@click.command("model-server")
@click.option("--model", type=click.Path(), help="The model, a GGUF file.")
@click.option("--settings", "file", type=click.Path(path_type=Path), help="Settings file (.toml or .json).")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on.  [default: 8000]")
@click.option("--alias", help="Name under which the model is served.")
@click.option("--check", "only_check", is_flag=True, help="Check settings and model file, and exit.")
def command(
    model: str | None, file: Path | None, host: str | None, port: int | None, alias: str | None, only_check: bool
) -> None:
    """Serve a GGUF model over the OpenAI API."""
    settings = read_settings(file, ModelServerSettings) if file else ModelServerSettings()
    given = {"model": model, "host": host, "port": port, "alias": alias}
    settings = msgspec.structs.replace(settings, **{key: value for key, value in given.items() if value is not None})
    if only_check:
        check(settings)
        click.echo("These settings can work.")
        return
    logs.configure()
    leave(run_loop(run(settings)))
