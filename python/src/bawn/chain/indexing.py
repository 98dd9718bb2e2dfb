"""Indexing the chain's repositories, as `bawn index` does it."""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bawn.chain.layout import Layout, bawn
from bawn.chain.process import ServiceFailed


def index(layout: Layout, repositories: Sequence[Path]) -> None:
    """Register the repositories and bring the index up to date; progress goes to this terminal.

    Raises:
        ServiceFailed: `bawn index` said no; its own words are on the terminal.
    """
    at = ("--index", str(layout.index))
    registered = [bawn("index", "add", str(path), *at) for path in repositories]
    for command in (*registered, bawn("index", "run", *at)):
        if subprocess.run(command, env=layout.environment(), check=False).returncode != 0:
            raise ServiceFailed("The repositories could not be indexed: the reason is above.")


async def keep_current(layout: Layout, every_s: float) -> None:
    """Bring the index up to date again and again, until cancelled; unchanged files cost next to nothing."""
    log = layout.logs / "indexer.log"
    while True:
        await asyncio.sleep(every_s)
        with log.open("ab") as out:
            command = bawn("index", "run", "--index", str(layout.index))
            process = await asyncio.create_subprocess_exec(*command, env=layout.environment(), stdout=out, stderr=out)
            try:
                await process.wait()
            except asyncio.CancelledError:
                process.terminate()
                await process.wait()
                raise
