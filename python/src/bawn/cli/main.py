"""The command group: a laptop needs only the base install, since commands are imported when they are called."""

import sys
from typing import Final

import click

from bawn import __version__
from bawn.cli.lazy import Lazy, LazyGroup
from bawn.contracts.errors import BawnError

COMMANDS: Final = {
    "ask": Lazy("ask", "Answer a question about your code, with its sources."),
    "bridge": Lazy("bridge", "Serve the OpenAI API on this laptop and pass it to the gateway."),
    "connect": Lazy("connect", "Write the configuration of OpenCode or Continue."),
    "demo": Lazy("demo", "Run the whole chain on this machine once.", extra="all"),
    "doctor": Lazy("doctor", "Say what is wrong between this machine and the model."),
    "fleet": Lazy("fleet", "Check the fleet, render its nodes' settings, show who reaches what."),
    "gateway": Lazy("gateway", "Run the gateway.", extra="gateway"),
    "gpu-check": Lazy("gpu_check", "Check that llama.cpp computes on the GPU, and rightly.", extra="model"),
    "index": Lazy("index", "Index repositories for search.", extra="indexer"),
    "keys": Lazy("keys", "Make, list and revoke API keys of the gateway."),
    "model-server": Lazy("model_server", "Serve a GGUF model.", extra="model"),
    "plan": Lazy("plan", "Say what of a model fits a GPU."),
    "search": Lazy("search", "Search the indexes from a terminal.", extra="gateway"),
    "up": Lazy("up", "Keep the whole chain running on this machine.", extra="all"),
    "weights": Lazy("weights", "Pin, fetch and verify the weights of models."),
}


class _Commands(LazyGroup):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BawnError as error:
            click.echo(f"bawn: {error}", err=True)
            sys.exit(2)


@click.command(cls=_Commands, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bawn")
def cli() -> None:
    """Bawn: a private AI coding assistant on machines that your team controls."""
