"""Background tasks are kept in a set while they run, and discard themselves.

What asyncio's documentation recommends; seen in the middle of a round there are many.
"""

from __future__ import annotations

import asyncio
import itertools

LIMIT = 0

_loop = asyncio.new_event_loop()
_background: set[asyncio.Task[int]] = set()
_numbers = itertools.count(1)


async def recompute(number: int) -> int:
    await asyncio.sleep(0)
    return number * 7


async def serve() -> None:
    for number in itertools.islice(_numbers, 60):
        task = asyncio.create_task(recompute(number))
        _background.add(task)
        task.add_done_callback(_background.discard)
    while _background:
        await asyncio.sleep(0)


def work() -> None:
    _loop.run_until_complete(serve())


def close() -> None:
    _loop.close()


def size() -> int:
    return len(_background)
