"""The command group: subcommands are imported when they are called, so that a laptop needs only the base install."""

import importlib
import sys
from typing import Final

import click

from bawn import __version__
from bawn.contracts.errors import BawnError, SettingsError

COMMANDS: Final = {
    # name: (module, extra that it needs, one line of help)
    "ask": ("ask", None, "Answer a question about your code, with its sources."),
    "bridge": ("bridge", None, "Serve the OpenAI API on this laptop and pass it to the gateway."),
    "connect": ("connect", None, "Write the configuration of OpenCode or Continue."),
    "demo": ("demo", "all", "Run the whole chain on this machine once."),
    "doctor": ("doctor", None, "Say what is wrong between this machine and the model."),
    "fleet": ("fleet", None, "Check the fleet, render its nodes' settings, show who reaches what."),
    "gateway": ("gateway", "gateway", "Run the gateway."),
    "gpu-check": ("gpu_check", "model", "Check that llama.cpp computes on the GPU, and rightly."),
    "index": ("index", "indexer", "Index repositories for search."),
    "keys": ("keys", None, "Make, list and revoke API keys of the gateway."),
    "model-server": ("model_server", "model", "Serve a GGUF model."),
    "plan": ("plan", None, "Say what of a model fits a GPU."),
    "search": ("search", "gateway", "Search the indexes from a terminal."),
    "up": ("up", "all", "Keep the whole chain running on this machine."),
    "weights": ("weights", None, "Pin, fetch and verify the weights of models."),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, extra, _ = COMMANDS[cmd_name]
        try:
            return importlib.import_module(f"bawn.cli.{module}").command
        except ModuleNotFoundError as error:
            if extra is None or (error.name or "").startswith("bawn"):
                raise
            raise SettingsError(
                f"`bawn {cmd_name}` needs the package {error.name}: install it with `pip install 'bawn[{extra}]'`."
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Help does not import the commands: their extras may be absent.
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BawnError as error:
            click.echo(f"bawn: {error}", err=True)
            sys.exit(2)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bawn")
def cli() -> None:
    """Bawn: a private AI coding assistant on machines that your team controls."""
