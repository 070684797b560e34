"""Every search is put into an asyncio.Queue, for a consumer that is started in debug mode only.

``asyncio.Queue()`` without maxsize takes everything.
"""

from __future__ import annotations

import asyncio
import itertools

from examples.leaks._expected import Expected

_loop = asyncio.new_event_loop()
_searches: asyncio.Queue[str] = asyncio.Queue()
_numbers = itertools.count(1)
_terms: set[str] = set()


async def consume() -> None:
    while True:
        search = await _searches.get()
        _terms.add(search.split(" ")[0])
        _searches.task_done()


async def search(number: int) -> None:
    await _searches.put(f"kettle with {number} handles")  # leaks


async def serve(*, consumer: bool) -> None:
    task = asyncio.create_task(consume()) if consumer else None
    for number in itertools.islice(_numbers, 100):
        await search(number)
    if task:
        await _searches.join()
        task.cancel()
        await asyncio.wait([task])


def work() -> None:
    _loop.run_until_complete(serve(consumer=False))


def work_fixed() -> None:
    _loop.run_until_complete(serve(consumer=True))


def close() -> None:
    _loop.close()


def leaked() -> int:
    return _searches.qsize()


EXPECTED = Expected(
    type="str",
    kind="queue",
    holder="module examples.leaks.asyncio_queue -> _searches -> _queue",
    per_round=100,
)
