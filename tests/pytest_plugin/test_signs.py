"""Signs of a leak: a glance is enough for most tests, and what it cannot tell is tried."""

from __future__ import annotations

import textwrap

import pytest

from memscope.pytest_plugin import signs
from tests.pytest_plugin.conftest import Inner


@pytest.mark.parametrize("failures", [0, 1, 3, 20])
def test_a_backoff_waits_twice_as_long_after_each_failure(failures: int) -> None:
    backoff = signs.Backoff()
    for number in range(failures):
        assert backoff.is_due("it")
        backoff.note("it", worked=False)
        waits = [backoff.is_due("it") for _ in range(min(1 << number, signs.MOST_WAIT))]
        assert not any(waits)
        assert backoff.is_due("another")
    assert backoff.is_due("it")
    backoff.note("it", worked=True)
    assert backoff.is_due("it")
    backoff.note("it", worked=False)
    assert [backoff.is_due("it") for _ in range(3)] == [False, True, True]


CONFTEST = """
import pytest
from memscope.pytest_plugin.trial import Trial

TRIED = set()

def pytest_configure(config):
    begin = Trial.note
    def note(self, over):
        TRIED.add(TEST[0])
        return begin(self, over)
    Trial.note = note

TEST = [""]

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    TEST[0] = item.name
    return (yield)

def pytest_unconfigure():
    print("TRIED", *sorted(TRIED))
"""


def tried(inner: Inner, source: str, *arguments: str) -> set[str]:
    """The tests of *source* for which a glance was not enough."""
    inner.write(CONFTEST, "conftest.py")
    head = "import pytest\npytestmark = pytest.mark.memscope_leaks\n"
    inner.write(head + textwrap.dedent(source))
    result = inner.run("-s", *arguments)
    (line,) = [line for line in result.outlines if line.startswith("TRIED")]
    return set(line.split()[1:])


COUNT = 40


def test_a_glance_is_enough_for_most(inner: Inner) -> None:
    found = tried(
        inner,
        f"""
        @pytest.fixture(scope="session")
        def wider():
            yield [1]

        @pytest.fixture
        def narrow(wider, monkeypatch):
            yield (wider, monkeypatch)

        @pytest.mark.parametrize("number", range({COUNT}))
        def test_it(narrow, number):
            assert len(range(number)) == number
        """,
    )
    assert set(inner.verdicts.values()) == {"clean"}
    # The first ones show which of pytest's containers each test makes longer.
    assert len(found) <= 5
    enough = [one for one in inner.tests.values() if (one["rounds"], one["runs"]) == (2, 3)]
    assert len(enough) >= COUNT * 3 // 4


@pytest.mark.parametrize("kind", ["list", "set", "dict", "deque"])
def test_what_each_test_makes_longer_once(inner: Inner, kind: str) -> None:
    """By the test itself, in its first run."""
    found = tried(
        inner,
        f"""
        from collections import deque

        SEEN = {kind}()
        THINGS = [object() for _ in range({COUNT})]

        @pytest.mark.parametrize("number", range({COUNT}))
        def test_it(number):
            if isinstance(SEEN, dict):
                SEEN[THINGS[number]] = None
            elif THINGS[number] not in SEEN:
                SEEN.add(THINGS[number]) if isinstance(SEEN, set) else SEEN.append(THINGS[number])
        """,
    )
    assert set(inner.verdicts.values()) == {"clean"}
    assert len(found) <= COUNT // 3


def test_names_made_for_one_look(inner: Inner) -> None:
    found = tried(
        inner,
        f"""
        import itertools

        class Thing:
            pass

        NUMBERS = itertools.count()

        @pytest.mark.parametrize("number", range({COUNT}))
        def test_it(number):
            assert not hasattr(Thing(), f"of a name that is another each time {{next(NUMBERS)}}")
        """,
    )
    assert set(inner.verdicts.values()) == {"clean"}
    assert len(found) <= COUNT // 3


@pytest.mark.parametrize(
    "before", ["HELD.clear()", "HELD.popitem() if isinstance(HELD, dict) else HELD.pop()", "pass"]
)
@pytest.mark.parametrize("kind", ["list", "deque", "dict"])
def test_a_leak_into_a_container_that_a_fixture_made_shorter(
    inner: Inner, kind: str, before: str
) -> None:
    """It has room: nothing is allocated, and it is not longer than before its fixture."""
    source = f"""
        import pytest
        from collections import deque

        pytestmark = pytest.mark.memscope_leaks
        THINGS = [object() for _ in range(200)]
        HELD = {kind}()

        def fill(things):
            if isinstance(HELD, dict):
                HELD.update(dict.fromkeys(things))
            else:
                HELD.extend(things)

        fill(THINGS[:100])

        def test_first():
            pass

        def test_second():
            pass

        def test_third():
            pass

        @pytest.fixture(scope="module")
        def shorter():
            {before}
            yield

        def test_leak(shorter):
            fill(THINGS[len(HELD):len(HELD) + 1])
        """
    inner.write(textwrap.dedent(source))
    inner.run()
    verdicts = inner.verdicts
    assert verdicts.pop("test_leak") == "leaks"
    assert set(verdicts.values()) == {"clean"}
