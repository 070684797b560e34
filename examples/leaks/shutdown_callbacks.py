"""Every upload adds a done-callback to the future that is done when the server shuts down.

``shutdown.add_done_callback(upload.abort)`` aborts uploads that are under way.  It holds
also those that ended well, since the future of the shutdown is done only once.
"""

from __future__ import annotations

import asyncio
import itertools

from examples.leaks._expected import Expected

_loop = asyncio.new_event_loop()
_shutdown: asyncio.Future[None] = _loop.create_future()
_numbers = itertools.count(1)


class Upload:
    def __init__(self, number: int) -> None:
        self.number = number
        self.received = bytearray()
        self.aborted = False

    def abort(self, shutdown: asyncio.Future[None]) -> None:
        self.aborted = True

    async def receive(self) -> int:
        self.received += b"x" * 200
        await asyncio.sleep(0)
        return len(self.received)


async def handle(number: int, *, remove: bool) -> int:
    upload = Upload(number)  # leaks
    _shutdown.add_done_callback(upload.abort)  # leaks
    try:
        return await upload.receive()
    finally:
        if remove:
            _shutdown.remove_done_callback(upload.abort)


async def serve(*, remove: bool) -> None:
    for number in itertools.islice(_numbers, 50):
        assert await handle(number, remove=remove) == 200


def work() -> None:
    _loop.run_until_complete(serve(remove=False))


def work_fixed() -> None:
    _loop.run_until_complete(serve(remove=True))


def close() -> None:
    _loop.close()


def leaked() -> int:
    return len(getattr(_shutdown, "_callbacks", None) or ())


EXPECTED = Expected(
    type=("Upload", "method"),
    kind="callback",
    holder="module examples.leaks.shutdown_callbacks -> _shutdown",
    per_round=50,
)
