"""Every failed reconnect is raised ``from`` the failure before: a chain since the process began.

One attribute, ``last_error``, and nothing else is kept.  But each error knows its cause,
that one its own, and each of them has a traceback.
"""

from __future__ import annotations

import itertools

from examples.leaks._expected import Expected


class BrokerError(Exception):
    pass


class Broker:
    def __init__(self, *, chain: bool) -> None:
        self.chain = chain
        self.last_error: BrokerError | None = None

    def connect(self, attempt: int) -> None:
        greeting = bytes(400)
        cause = self.last_error if self.chain else None
        error = BrokerError(f"attempt {attempt}: {len(greeting)} bytes, no answer")  # leaks
        raise error from cause

    def reconnect(self, attempt: int) -> bool:
        try:
            self.connect(attempt)
        except BrokerError as error:
            self.last_error = error
            return False
        return True


_broker = Broker(chain=True)
_fixed = Broker(chain=False)
_attempts = itertools.count(1)


def work() -> None:
    for attempt in itertools.islice(_attempts, 40):
        assert not _broker.reconnect(attempt)


def work_fixed() -> None:
    for attempt in itertools.islice(_attempts, 40):
        assert not _fixed.reconnect(attempt)


def leaked() -> int:
    error: BaseException | None = _broker.last_error
    length = 0
    while error is not None:
        length += 1
        error = error.__cause__
    return length


EXPECTED = Expected(
    type=("BrokerError", "traceback", "frame"),
    kind="exception",
    holder="module examples.leaks.reconnect_errors -> _broker -> last_error",
    per_round=40,
)
