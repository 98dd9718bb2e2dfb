"""`bawn demo`: the whole chain on this machine, once."""

import asyncio
import socket
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click
import httpx
from rich.console import Console
from rich.table import Table

from bawn.bridge.asking import Done
from bawn.chain.indexing import index
from bawn.chain.layout import HOST, Layout, Ports
from bawn.chain.measure import measure_hops
from bawn.chain.supervisor import Chain
from bawn.cli.ask import show
from bawn.cli.up import chosen_model
from bawn.model_server.settings import default_model_path
from bawn.relay.framing import Framer
from bawn.service.settings import read_secret

# The name is not written out: the best match of a question is the file that holds the question.
_QUESTION = f"What does the class {Framer.__name__} hold back, and why?"
_CODE = "import json\n\n\ndef read_json(path):\n    with open(path) as file:\n        return"
_ANSWER_TOKENS = 160


@click.command("demo")
@click.option("--model", type=click.Path(path_type=Path), envvar="BAWN_MODEL", help="A GGUF with a chat template.")
@click.option(
    "--repo", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".", help="Index this folder."
)
@click.option("--question", default=_QUESTION, show_default=True)
def command(model: Path | None, repo: Path, question: str) -> None:
    """Start the chain on free ports, index, ask, complete, measure, and stop it."""
    chosen = chosen_model(model)
    with tempfile.TemporaryDirectory(prefix="bawn-demo-") as folder:
        layout = Layout(Path(folder), Path(folder) / "config")
        chain = Chain(layout, _free_ports(), chosen)
        asyncio.run(_demo(chain, repo.absolute(), question))


def _free_ports() -> Ports:
    with closing(socket.socket()) as a, closing(socket.socket()) as b, closing(socket.socket()) as c:
        for probe in (a, b, c):
            probe.bind((HOST, 0))
        return Ports(*(int(probe.getsockname()[1]) for probe in (a, b, c)))


async def _demo(chain: Chain, repo: Path, question: str) -> None:
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()

    def step(title: str) -> None:
        console.print(f"\n[bold]{title}[/bold]")

    step(f"1. Index {repo.name}")
    chain.layout.prepare(chain.ports, chain.model)
    index(chain.layout, [repo])

    step(f"2. Start model server, gateway and bridge ({chain.model.name})")
    async with chain.running(lambda text: console.print(f"   {text}")):
        token = read_secret(chain.layout.bridge_token)
        url = chain.ports.bridge_url

        step(f"3. bawn ask “{question}”")
        answer = await show(question, url, token, limit=4, max_tokens=_ANSWER_TOKENS)

        step("4. Complete code")
        await _complete(url, token, answer.model)

        step("5. What each hop costs")
        hops = Table("hop", box=None, padding=(0, 2))
        for title in ("first byte", "added", "memory"):
            hops.add_column(title, justify="right")
        for hop in await measure_hops(chain, answer.model):
            memory = "?" if hop.resident_mib is None else f"{hop.resident_mib:.0f} MiB"
            hops.add_row(hop.name, f"{hop.first_byte_ms:.1f} ms", f"{hop.added_ms:+.1f} ms", memory)
        console.print(hops)
        if answer.tokens_per_s is not None:
            console.print(f"  the answer above: {answer.tokens_per_s:.0f} tokens/s, {_tokens(answer)}")
    if chain.model == default_model_path():
        console.print(
            "\nThis model has 135 million parameters: it shows that the chain works, not what a good answer is."
        )
        console.print("BAWN_MODEL=/path/to.gguf make demo asks another.")
    step("Use it")
    console.print("  make up                  keeps the chain running on ports 8000, 8700 and 8080; then, beside it:")
    console.print("  python/.venv/bin/bawn connect opencode     and start opencode in any project")
    console.print("  python/.venv/bin/bawn connect continue     and start Continue")
    console.print(f"\nAll of it is stopped again. {time.monotonic() - began:.0f} s in all.")


def _tokens(answer: Done) -> str:
    if answer.usage is None:
        return f"first token after {answer.first_token_s:.2f} s"
    return f"{answer.usage.prompt_tokens} tokens of prompt, first token after {answer.first_token_s:.2f} s"


async def _complete(url: str, token: str, model: str) -> None:
    request = {"model": model, "prompt": _CODE, "max_tokens": 48, "temperature": 0, "stop": ["\n\n"]}
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:
        response = await client.post(f"{url}/v1/completions", json=request, headers=headers)
        response.raise_for_status()
    text = response.json()["choices"][0]["text"]
    click.secho(_CODE, dim=True, nl=False)
    click.echo(text.rstrip())
