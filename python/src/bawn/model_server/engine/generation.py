"""The event loop's end of one generation."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from bawn.model_server.engine.sequence import FinishReason, GenerationRequest, Output, Progress, Sequence


class Generation:
    """What a request handler holds. Use it on the event loop that submitted it."""

    def __init__(self, request: GenerationRequest, cancel: Callable[[Sequence], None]) -> None:
        self._outputs: asyncio.Queue[Output] = asyncio.Queue()
        self._cancel = cancel
        self.sequence = Sequence(request, self._outputs.put_nowait)
        self.finish: FinishReason | None = None
        """Why it ended; None while it runs."""

    @property
    def progress(self) -> Progress:
        """Counts and times so far."""
        return self.sequence.progress

    async def outputs(self) -> AsyncGenerator[Output]:
        """What comes, one output a token at most: what is there already comes as one, and tokens that bring nothing of
        their own are skipped.

        Raises:
            RequestError: the engine could not finish.
        """
        while self.finish is None:
            output = await self._outputs.get()
            while not self._outputs.empty():
                output = output.joined(self._outputs.get_nowait())
            self.finish = output.finish
            if output.error is None:
                yield output
                continue
            if output.text:
                yield Output(output.text, logprobs=output.logprobs)
            raise output.error

    def cancel(self) -> None:
        """Stop it: its slot is free before the next decode step. Does nothing when it has ended."""
        if self.finish is None:
            self._cancel(self.sequence)
