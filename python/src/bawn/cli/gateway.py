"""`bawn gateway`: run the gateway, or check its settings."""

import sys
from pathlib import Path

import click

from bawn.gateway.check import problems
from bawn.gateway.settings import GatewaySettings
from bawn.service import logs
from bawn.service.serving import leave, run_loop
from bawn.service.settings import read_settings

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--settings", "settings_file", type=_FILE, help="Run with this TOML or JSON file.")
@click.option("--check", "check_file", type=_FILE, help="Check this file and exit: 0 when it can work, else 2.")
def command(settings_file: Path | None, check_file: Path | None) -> None:
    """Run the gateway: keys, routing to the model servers, the search tools."""
    if (settings_file is None) == (check_file is None):
        raise click.UsageError("Give one of --settings FILE and --check FILE.")
    if check_file is not None:
        _check(check_file)
    elif settings_file is not None:
        settings = read_settings(settings_file, GatewaySettings)
        _refuse(settings_file, settings)
        logs.configure()
        from bawn.gateway.app import run  # two seconds of imports that `--check` does without

        run_loop(run(settings))
        leave()


def _check(file: Path) -> None:
    settings = read_settings(file, GatewaySettings)
    _refuse(file, settings)
    click.echo(
        f"{file}: good. Listens on {settings.host}:{settings.port}; "
        f"upstreams: {', '.join(u.name for u in settings.upstreams)}; aliases: {len(settings.aliases)}; "
        f"keys: {settings.keys_path}; index: {settings.index_dir or 'none'}."
    )


def _refuse(file: Path, settings: GatewaySettings) -> None:
    wrong = problems(settings)
    for problem in wrong:
        click.echo(f"{file}: {problem}", err=True)
    if wrong:
        sys.exit(2)
