"""`bawn connect`."""

import asyncio
from pathlib import Path
from typing import Final

import click

from bawn.bridge.clients.client import Client
from bawn.bridge.clients.connecting import Outcome, connect, undo
from bawn.bridge.clients.connection import Connection
from bawn.bridge.clients.continue_dev import Continue
from bawn.bridge.clients.opencode import OpenCode
from bawn.bridge.clients.receipts import Receipts
from bawn.bridge.local_client import BridgeUnusable, bridge_url, client_for, fetch_models
from bawn.bridge.local_token import install_token, token_path
from bawn.contracts.errors import SettingsError
from bawn.contracts.openai import ModelCard
from bawn.service.settings import state_dir

_CLIENTS: Final[dict[str, type[OpenCode] | type[Continue]]] = {"opencode": OpenCode, "continue": Continue}
_DONE: Final = {
    "created": "Wrote {path}.",
    "merged": "Wrote bawn's entries into {path}; everything else is as it was.",
    "unchanged": "{path} is as it should be; nothing to do.",
    "restored": "{path} is again what it was.",
    "removed": "Removed {path}: there was no such file before.",
    "taken_out": "{path} was edited after bawn wrote it, so only bawn's entries were taken out.",
    "nothing": "{path} holds nothing of bawn's.",
}


@click.command(name="connect")
@click.argument("assistant", type=click.Choice(sorted(_CLIENTS)))
@click.option("--project", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Configure one project.")
@click.option("--model", "models", multiple=True, help="Model to offer, the first is the default; may be repeated.")
@click.option("--small-model", help="OpenCode: the model for titles.")
@click.option("--bridge", metavar="URL", help="The bridge, where it is not the one of bridge.toml.")
@click.option("--print", "only_print", is_flag=True, help="Print the configuration; write nothing.")
@click.option("--undo", "undoing", is_flag=True, help="Put back what was there before.")
def command(
    assistant: str,
    project: Path | None,
    models: tuple[str, ...],
    small_model: str | None,
    bridge: str | None,
    only_print: bool,
    undoing: bool,
) -> None:
    """Write the configuration of OpenCode or Continue."""
    client = _CLIENTS[assistant]()
    path = client.locate(project.resolve() if project else None)
    receipts = Receipts(state_dir() / "connect")
    if undoing:
        _say(undo(client, path, receipts))
        return
    connection = _connection(bridge, models, small_model)
    if only_print:
        click.echo(client.merged(None, connection), nl=False)
        return
    _say(connect(client, path, connection, receipts))
    if project is not None and client.token_in_file:
        click.echo(f"{path} holds this laptop's token: keep it out of version control (.gitignore).", err=True)
    _next(client)


def _connection(bridge: str | None, models: tuple[str, ...], small_model: str | None) -> Connection:
    url = (bridge or bridge_url()).rstrip("/")
    where = token_path()
    token = install_token(where)
    named = list(dict.fromkeys((*models, small_model) if models and small_model else models))
    offered = asyncio.run(_offered(url, token, fallback=named))
    known = {card.id: card for card in offered}
    for name in (*named, *([small_model] if small_model else [])):
        if name not in known:
            raise SettingsError(f"The gateway offers no model {name}; it offers: {', '.join(known) or 'none'}.")
    # What was named comes first: the first model is the one that a client starts with.
    ordered = [known[name] for name in named] or offered
    if not ordered:
        raise SettingsError("The gateway offers this laptop no model: name one with --model, or ask whoever runs it.")
    return Connection(url=url, token=token, token_file=where, models=ordered, small_model=small_model)


async def _offered(url: str, token: str, *, fallback: list[str]) -> list[ModelCard]:
    try:
        async with client_for(url, token, read_s=10) as client:
            return await fetch_models(client)
    except BridgeUnusable as error:
        if not fallback:
            raise SettingsError(f"{error} Or name the models with --model NAME.") from error
        click.echo(f"{error} The models are taken as named.", err=True)
        return [ModelCard(id=name) for name in fallback]


def _say(outcome: Outcome) -> None:
    click.echo(_DONE[outcome.done].format(path=outcome.path))
    if outcome.done == "merged" and outcome.backup is not None:
        click.echo(f"What was there before is in {outcome.backup}.")
    if outcome.done == "taken_out" and outcome.backup is not None:
        click.echo(f"What was there before bawn is still in {outcome.backup}.")
    for remark in outcome.remarks:
        click.echo(remark)


def _next(client: Client) -> None:
    click.echo(f"Start {client.name} anew; the bridge must run (`bawn bridge`). `--undo` puts everything back.")
