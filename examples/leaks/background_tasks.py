"""Every mail is sent in a background task, and every task is kept in a set.

The documentation of asyncio says to keep a reference, and to discard it when the task is done:
the second half was forgotten.  Finished tasks stay, with what they returned.
"""

from __future__ import annotations

import asyncio
import itertools

from examples.leaks._expected import Expected

_loop = asyncio.new_event_loop()
_background: set[asyncio.Task[str]] = set()
_numbers = itertools.count(1)


async def send_mail(number: int) -> str:
    await asyncio.sleep(0)
    return f"<{number}@mail.example> accepted for delivery"


def in_background(number: int, *, discard: bool) -> None:
    task = asyncio.create_task(send_mail(number))  # leaks
    _background.add(task)
    if discard:
        task.add_done_callback(_background.discard)


async def serve(*, discard: bool) -> None:
    for number in itertools.islice(_numbers, 60):
        in_background(number, discard=discard)
        await asyncio.sleep(0)
    await asyncio.sleep(0.001)  # the last one ends


def work() -> None:
    _loop.run_until_complete(serve(discard=False))


def work_fixed() -> None:
    _loop.run_until_complete(serve(discard=True))


def close() -> None:
    _loop.close()


def leaked() -> int:
    return len(_background)


EXPECTED = Expected(
    type="Task",
    kind="asyncio-task",
    holder="module examples.leaks.background_tasks -> _background",
    per_round=60,
)
