"""Every message is processed once, because the consumer remembers the id of every message.

At a million messages a day it remembers a great deal.  The broker delivers a message again
within a minute or never: ids older than that are of no use.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict

from examples.leaks._expected import Expected

REMEMBERED = 500

_seen: set[str] = set()
_recent: OrderedDict[str, None] = OrderedDict()
_offsets = itertools.count()


def receive() -> tuple[str, str]:
    offset = next(_offsets)
    message_id = f"eu-west-1/orders/partition-{offset % 8}/{offset:012}"  # leaks
    return message_id, "order.created"


def is_duplicate(message_id: str) -> bool:
    if message_id in _seen:
        return True
    _seen.add(message_id)
    return False


def is_recent_duplicate(message_id: str) -> bool:
    """The same with a window: the oldest ids make room for the newest."""
    if message_id in _recent:
        return True
    _recent[message_id] = None
    if len(_recent) > REMEMBERED:
        _recent.popitem(last=False)
    return False


def work() -> None:
    for _ in range(200):
        message_id, kind = receive()
        if not is_duplicate(message_id):
            assert kind == "order.created"


def work_fixed() -> None:
    for _ in range(200):
        message_id, kind = receive()
        if not is_recent_duplicate(message_id):
            assert kind == "order.created"


def leaked() -> int:
    return len(_seen) + max(0, len(_recent) - REMEMBERED)


EXPECTED = Expected(
    type="str",
    kind="growing-container",
    holder="module examples.leaks.seen_message_ids -> _seen",
    per_round=200,
)
