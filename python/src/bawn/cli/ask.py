"""`bawn ask`."""

import asyncio
import re
import sys
from contextlib import aclosing
from typing import Final

import click

from bawn.bridge.asking import Done, Found, Text, ask
from bawn.bridge.local_client import BridgeUnusable, bridge_url, local_token
from bawn.contracts.search import Chunk

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOST_SYMBOLS: Final = 4


@click.command(name="ask")
@click.argument("question")
@click.option("--model", help="Default: the first that the gateway offers.")
@click.option("--limit", default=6, show_default=True, type=click.IntRange(1, 50), help="Most chunks of code to find.")
@click.option("--bridge", metavar="URL", help="The bridge, where it is not the one of bridge.toml.")
@click.option("--no-search", is_flag=True, help="Ask the model alone.")
def command(question: str, model: str | None, limit: int, bridge: str | None, no_search: bool) -> None:
    """Answer a question about your code, with its sources."""
    url = (bridge or bridge_url()).rstrip("/")
    token = local_token()
    try:
        asyncio.run(show(question, url, token, model, limit, search=not no_search))
    except KeyboardInterrupt:
        sys.exit(130)


async def show(
    question: str,
    url: str,
    token: str,
    model: str | None = None,
    limit: int = 6,
    *,
    search: bool = True,
    max_tokens: int = 1024,
) -> Done:
    """Print what was found, the answer as it comes, and its sources; gives the answer's figures.

    Raises:
        BridgeUnusable: see `ask`.
    """
    answer = ask(question, url=url, token=token, model=model, limit=limit, search=search, max_tokens=max_tokens)
    async with aclosing(answer) as events:
        async for event in events:
            if isinstance(event, Found):
                _print_found(event.chunks, search=search)
            elif isinstance(event, Text):
                # What a model writes may not steer the terminal.
                click.echo(_CONTROL.sub("", event.text), nl=False)
            else:
                _print_end(event)
                return event
    raise BridgeUnusable("The answer broke off before it was complete.")


def _print_found(chunks: list[Chunk], *, search: bool) -> None:
    if search:
        click.secho("Found:" if chunks else "Nothing found; the model answers from what it knows.", bold=True)
    for chunk in chunks:
        names = ", ".join(chunk.symbols[:_MOST_SYMBOLS])
        click.echo(f"  {_CONTROL.sub('', chunk.location)}{f'  {names}' if names else ''}")
    click.echo()


def _print_end(done: Done) -> None:
    click.echo("\n")
    if done.sources:
        click.secho("Sources:", bold=True)
    for chunk in done.sources:
        click.echo(f"  {_CONTROL.sub('', chunk.path)}:{chunk.start_line}-{chunk.end_line}  ({chunk.repo})")
    speed = "" if done.tokens_per_s is None else f", {done.tokens_per_s:.0f} tokens/s"
    click.echo(f"{done.model}: first token after {done.first_token_s:.2f} s{speed}", err=True)
