from __future__ import annotations

import pytest

from memscope.web.trend import LEAST_REQUESTS, SPANS, judge


@pytest.mark.parametrize(
    ("retained", "verdict"),
    [
        ([1000] * 19, "too few"),
        ([1000] * 20, "growing"),
        ([500] * 20, "too few"),
        ([500] * 40, "growing"),
        ([1000] * 200, "growing"),
        ([2000, 0] * 50, "growing"),
        ([100_000] + [1000] * 99, "growing"),
        ([0] * 100, "steady"),
        ([8, -8] * 50, "steady"),
        ([50] * 100, "steady"),
        ([0] * 50 + [50_000] + [0] * 49, "filling"),
        ([5000] * 20 + [0] * 80, "filling"),
        ([4000] * 30 + [1000] * 30 + [200] * 40, "filling"),
        ([1000, -1000] * 50, "steady"),
        ([-1000] * 100, "steady"),
    ],
)
def test_verdict(retained: list[int], verdict: str) -> None:
    assert judge(retained).verdict == verdict


def test_spans_add_up_to_what_was_retained() -> None:
    retained = [7 * number for number in range(73)]
    trend = judge(retained)
    assert len(trend.spans) == SPANS
    assert sum(trend.spans) == sum(retained)
    assert trend.per_request == round(sum(retained) / 73)


def test_nothing_is_said_of_nothing() -> None:
    assert judge([]) == ("too few", (), 0)
    assert judge([5] * (LEAST_REQUESTS - 1)).spans == ()


def test_what_routes_pass_to_and_fro_is_no_growth() -> None:
    """One leaves 5000 bytes, the other takes them away with its next request."""
    assert judge([5000] * 100, [5000] * 100).verdict == "filling"
    assert judge([-5000] * 100, [0] * 100).verdict == "steady"
    growing = [5000 * number for number in range(1, 101)]
    assert judge([5000] * 100, growing).verdict == "growing"


def test_a_cache_of_all_routes_that_fills() -> None:
    totals = [5000 * min(number, 30) for number in range(1, 101)]
    assert judge([5000] * 100, totals).verdict == "filling"
