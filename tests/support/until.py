"""Waiting for a condition, with a bound."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], within_s: float = 20) -> None:
    """Return when `condition()` is true; `TimeoutError` when it does not become so in time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def until_async(condition: Callable[[], Awaitable[object]], within_s: float = 20) -> None:
    """`until`, for a condition that has to ask somebody."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
