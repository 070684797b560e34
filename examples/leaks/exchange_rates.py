"""Every conversion adds an exchange rate to ``_known={}``, the default of an argument.

The default is made once, with the function.  "A small memo that needs no global" is a global
that nobody can find, or clear.
"""

from __future__ import annotations

import itertools

from examples.leaks._expected import Expected


class Rate:
    def __init__(self, currency: str, second: int) -> None:
        self.currency = currency
        self.second = second
        self.value = 1.0 + second % 100 / 1000


def rate(currency: str, second: int, _known: dict[tuple[str, int], Rate] = {}) -> Rate:  # noqa: B006
    key = (currency, second)
    if key not in _known:
        _known[key] = Rate(currency, second)  # leaks
    return _known[key]


_latest: dict[str, Rate] = {}


def rate_fixed(currency: str, second: int) -> Rate:
    """One rate for each currency: the latest."""
    known = _latest.get(currency)
    if known is None or known.second != second:
        known = _latest[currency] = Rate(currency, second)
    return known


_seconds = itertools.count()


def work() -> None:
    for second in itertools.islice(_seconds, 90):
        assert rate("USD", second).value >= 1


def work_fixed() -> None:
    for second in itertools.islice(_seconds, 90):
        assert rate_fixed("USD", second).value >= 1


def leaked() -> int:
    assert rate.__defaults__ is not None
    return len(rate.__defaults__[0])


EXPECTED = Expected(
    type="Rate",
    kind="default-argument",
    holder="module examples.leaks.exchange_rates -> rate -> __defaults__",
    per_round=90,
)
