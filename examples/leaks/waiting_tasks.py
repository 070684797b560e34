"""Every long-polling client gets a task that waits for news; nobody cancels it when he leaves.

The tasks wait for an event that comes once a day, or never.  No list of ours holds them:
the event does, through the futures of those who wait.
"""

from __future__ import annotations

import asyncio
import itertools

from examples.leaks._expected import Expected

_loop = asyncio.new_event_loop()
_news = asyncio.Event()
_clients = itertools.count(1)


async def push_news(client: int) -> str:  # leaks
    profile = {"client": client, "topics": [f"topic {client % 7}", "sports"]}
    await _news.wait()
    return f"news for {profile['client']}"


async def poll(client: int, *, cancel: bool) -> None:
    task = asyncio.create_task(push_news(client))  # leaks
    await asyncio.sleep(0)  # ... and the client hangs up
    if cancel:
        task.cancel()
        await asyncio.wait([task])


async def serve(*, cancel: bool) -> None:
    for client in itertools.islice(_clients, 40):
        await poll(client, cancel=cancel)


def work() -> None:
    _loop.run_until_complete(serve(cancel=False))


def work_fixed() -> None:
    _loop.run_until_complete(serve(cancel=True))


def close() -> None:
    tasks = asyncio.all_tasks(_loop)
    for task in tasks:
        task.cancel()
    if tasks:
        _loop.run_until_complete(asyncio.wait(tasks))
    _loop.close()


def leaked() -> int:
    return len(asyncio.all_tasks(_loop))


EXPECTED = Expected(
    type=("Task", "coroutine"),
    kind="asyncio-task",
    holder="module examples.leaks.waiting_tasks -> _news",
    per_round=40,
)
