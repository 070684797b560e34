"""Every notification stays in a variable of the coroutine that sends them, for ever.

``consume()`` is started with the service and ends with it.  What it collects "to log a
summary at the end" is held by a suspended coroutine, where few people look.
"""

from __future__ import annotations

import asyncio
import itertools

from examples.leaks._expected import Expected


class Notification:
    def __init__(self, user: int) -> None:
        self.user = user
        self.text = f"Your order {user} has been sent"


async def consume(inbox: asyncio.Queue[int], *, summary: bool) -> None:
    sent = []
    count = 0
    while True:
        user = await inbox.get()
        notification = Notification(user)  # leaks
        if summary:
            sent.append(notification)
        count += 1
        inbox.task_done()


async def start(*, summary: bool) -> tuple[asyncio.Queue[int], asyncio.Task[None]]:
    inbox: asyncio.Queue[int] = asyncio.Queue()
    return inbox, asyncio.create_task(consume(inbox, summary=summary), name="notifications")


_loop = asyncio.new_event_loop()
_inbox, _consumer = _loop.run_until_complete(start(summary=True))
_fixed_inbox, _fixed_consumer = _loop.run_until_complete(start(summary=False))
_users = itertools.count(1)


async def serve(inbox: asyncio.Queue[int]) -> None:
    for user in itertools.islice(_users, 80):
        inbox.put_nowait(user)
    await inbox.join()


def work() -> None:
    _loop.run_until_complete(serve(_inbox))


def work_fixed() -> None:
    _loop.run_until_complete(serve(_fixed_inbox))


def close() -> None:
    _consumer.cancel()
    _fixed_consumer.cancel()
    _loop.run_until_complete(asyncio.gather(_consumer, _fixed_consumer, return_exceptions=True))
    _loop.close()


def leaked() -> int:
    coroutine = _consumer.get_coro()
    return len(getattr(coroutine, "cr_frame").f_locals["sent"])  # noqa: B009  (no type has it)


EXPECTED = Expected(
    type="Notification",
    kind=("frame-local", "asyncio-task"),
    holder=("_consumer", "consume", "notifications"),
    per_round=80,
)
