"""The choices of one request: its generations, and their outputs in the order in which they come."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from bawn.contracts.errors import RequestError
from bawn.contracts.openai import PromptTokensDetails, Usage
from bawn.model_server.engine.engine import Engine
from bawn.model_server.engine.generation import Generation
from bawn.model_server.engine.sequence import GenerationRequest, Output


class Choices:
    """Submitted generations. Use them on the engine's event loop, and `cancel` them when they are no longer wanted."""

    def __init__(self, engine: Engine, requests: Sequence[GenerationRequest]) -> None:
        """Submit all of them.

        Raises:
            Overloaded, Unavailable, InternalError: one can't be; the others are cancelled.
        """
        self.generations: list[Generation] = []
        try:
            for request in requests:
                self.generations.append(engine.submit(request))
        except RequestError:
            self.cancel()
            raise

    async def outputs(self) -> AsyncGenerator[tuple[int, Output]]:
        """Outputs with the number of their choice; the last of a choice tells how it ended.

        Raises:
            RequestError: the engine could not finish one.
        """
        if len(self.generations) == 1:
            async for output in self.generations[0].outputs():
                yield 0, output
            return
        merged: asyncio.Queue[tuple[int, Output | RequestError]] = asyncio.Queue()

        async def follow(number: int, generation: Generation) -> None:
            try:
                async for output in generation.outputs():
                    merged.put_nowait((number, output))
            except RequestError as error:
                merged.put_nowait((number, error))

        tasks = [asyncio.create_task(follow(number, one)) for number, one in enumerate(self.generations)]
        try:
            running = len(tasks)
            while running:
                number, output = await merged.get()
                if isinstance(output, RequestError):
                    raise output
                running -= output.finish is not None
                yield number, output
        finally:
            for task in tasks:
                task.cancel()

    def cancel(self) -> None:
        """Stop those that still run."""
        for generation in self.generations:
            generation.cancel()

    def usage(self) -> Usage:
        """Tokens so far: of the prompt once, of all answers together."""
        first = self.generations[0].progress
        generated = sum(one.progress.generated_tokens for one in self.generations)
        return Usage(
            prompt_tokens=first.prompt_tokens,
            completion_tokens=generated,
            total_tokens=first.prompt_tokens + generated,
            prompt_tokens_details=PromptTokensDetails(first.cached_tokens),
        )
