"""A test that asks to be judged: clean ones without a walk of the heap, and no leak is lost so."""

from __future__ import annotations

import json
import sys
import textwrap

import pytest

from tests.pytest_plugin.conftest import Inner

COUNT_WALKS = """
import json
from memscope import _memscope

class Walks:
    count = 0

    def __init__(self, kind):
        self.kind = kind

    def take(self, **options):
        Walks.count += 1
        return self.kind.take(**options)

_memscope.Graph, _memscope.Join = Walks(_memscope.Graph), Walks(_memscope.Join)
FOUND = {}

def pytest_runtest_logfinish(nodeid):
    FOUND[nodeid.partition("::")[2]], Walks.count = Walks.count, 0

def pytest_unconfigure():
    with open("walks.json", "w") as file:
        json.dump(FOUND, file)
"""

HEAD = """
import collections, ctypes, functools, gc, itertools, logging, sys, time
import pytest

pytestmark = pytest.mark.memscope_leaks

class Session:
    pass

ONE = Session()
KEPT = []
"""


def run(inner: Inner, source: str, *arguments: str) -> dict[str, int]:
    """Walks of the heap, by test."""
    inner.write(COUNT_WALKS, "conftest.py")
    inner.write(HEAD + textwrap.dedent(source))
    inner.run(*arguments)
    walks: dict[str, int] = json.loads((inner.folder / "walks.json").read_text())
    return walks


CLEAN = """
CACHE = {}
LAST = None
numbers = itertools.count()

@pytest.fixture
def held():
    yield [Session() for _ in range(50)]

@pytest.fixture(scope="module")
def shared():
    return [Session() for _ in range(50)]

def test_nothing():
    pass

def test_fixtures(held, shared, request):
    request.node.mine = held
    assert held and shared

def test_tmp_path(tmp_path):
    (tmp_path / "it").write_text("x" * 5000)
    assert (tmp_path / "it").read_text()

def test_monkeypatch(monkeypatch):
    for number in range(50):
        monkeypatch.setenv(f"NAME_{number}", "x" * 100)
        monkeypatch.setattr(sys, f"name_{number}", Session(), raising=False)

def test_caplog(caplog):
    with caplog.at_level("DEBUG"):
        for number in range(200):
            logging.getLogger("inner").info("number %s", number, extra={"it": Session()})

def test_logged():
    logging.getLogger("inner").warning("it")

def test_capsys(capsys):
    print("line")
    assert capsys.readouterr().out

def test_printed():
    print("line")

@pytest.mark.parametrize("size", [1, 1000])
def test_parametrized(size):
    assert len(bytearray(size)) == size

class TestClass:
    def setup_method(self):
        self.it = Session()

    def test_method(self):
        assert self.it

def test_young_garbage():
    for _ in range(50):
        one = Session()
        one.me = one

def test_old_garbage():
    for _ in range(20_000):
        one = Session()
        one.me = one

def test_a_cache_that_is_filled_once():
    for number in range(100):
        CACHE[number] = Session()

def test_replaced():
    global LAST
    LAST = "x" * next(numbers)

def test_attributes_by_many_names():
    for _ in range(50):
        getattr(ONE, f"name_{next(numbers)}", None)

REGISTRY = {}

def test_old_cycles_replaced():
    class Model:
        pass

    REGISTRY["Model"] = [Model, {"a": Model}, Session()]
"""


def test_clean_tests_are_acquitted_without_a_walk(inner: Inner) -> None:
    walks = run(inner, CLEAN)
    assert set(inner.verdicts.values()) == {"clean"}
    assert len(walks) > 15
    # CPython 3.12 never lets go of what is interned, and its pathlib interns the names of paths.
    walked = {"test_tmp_path"} if sys.version_info[:2] == (3, 12) else set()
    assert {name for name, count in walks.items() if count} <= walked
    for name in inner.tests.keys() - walked:
        one = inner.tests[name]
        assert one["rounds"] in (2, 3, 4, 5)
        # The test itself, then a glance; perhaps a first trial, and a warm-up.
        assert one["runs"] - one["rounds"] in (
            1,
            1 + 2,
            *(1 + 2 + tried + 1 for tried in range(2, 6)),
        )


def test_the_price_of_a_report_is_paid_for_leaks_only(inner: Inner) -> None:
    walks = run(
        inner,
        """
        def test_clean():
            pass

        def test_leak():
            KEPT.append(Session())

        def test_clean_after_it():
            pass

        def test_clean_too():
            pass
        """,
    )
    assert inner.verdicts == {
        "test_clean": "clean",
        "test_leak": "leaks",
        "test_clean_after_it": "clean",
        "test_clean_too": "clean",
    }
    assert walks.pop("test_leak") >= 6
    assert set(walks.values()) == {0}


@pytest.mark.parametrize(
    ("rounds", "enough"), [(1, 1), (2, 2), (3, 2), (4, 2), (5, 2), (6, 3), (10, 5), (20, 10)]
)
def test_no_more_rounds_than_can_make_a_leak(inner: Inner, rounds: int, enough: int) -> None:
    inner.write(
        HEAD
        + textwrap.dedent(
            f"""
            pytestmark = pytest.mark.memscope_leaks(rounds={rounds})

            @pytest.mark.parametrize("number", range(20))
            def test_it(number):
                pass
            """
        )
    )
    inner.run()
    assert set(inner.verdicts.values()) == {"clean"}
    # In some there is something that pytest itself keeps, and more are run.
    seen = [one["rounds"] for one in inner.tests.values()]
    assert min(seen) == enough
    assert max(seen) <= rounds
    # What a first round leaves is there for one round longer since 3.14.
    if rounds > 3 or sys.version_info < (3, 14):
        assert seen.count(enough) >= 15


LEAKS = {
    "what was there, into a list": """
        def test_it():
            KEPT.append(ONE)
        """,
    "what was there, into a long list, which has room": """
        KEPT.extend([ONE] * 10_000)
        KEPT.append(ONE)

        def test_it():
            KEPT.append(ONE)
        """,
    "what was there, into a dict": """
        ALL = [Session() for _ in range(100)]
        LEFT = iter(ALL)
        KEPT = {ONE: ONE}

        def test_it():
            KEPT[next(LEFT)] = ONE
        """,
    "what was there, into a set": """
        ALL = [Session() for _ in range(100)]
        LEFT = iter(ALL)
        KEPT = set()

        def test_it():
            KEPT.add(next(LEFT))
        """,
    "what was there, into a deque": """
        KEPT = collections.deque()

        def test_it():
            KEPT.append(ONE)
        """,
    "taken from a pool and never given back": """
        POOL = [Session() for _ in range(100)]

        def test_it():
            KEPT.append(POOL.pop())
        """,
    "one in the place of another that is freed": """
        POOL = [Session() for _ in range(100)]

        def test_it():
            POOL.pop()
            KEPT.append(Session())
        """,
    "what was there, into a dict that is not tracked": """
        KEPT = {}
        numbers = itertools.count()
        ATOM = object()

        def test_it():
            KEPT[next(numbers)] = ATOM
        """,
    "one every second run": """
        runs = itertools.count()

        def test_it():
            if next(runs) % 2 == 0:
                KEPT.append(Session())
        """,
    "one every second run, from the second on": """
        runs = itertools.count()

        def test_it():
            if next(runs) % 2:
                KEPT.append(Session())
        """,
    "what was there, every second run": """
        runs = itertools.count()

        def test_it():
            if next(runs) % 2:
                KEPT.append(ONE)
        """,
    "a buffer that has grown large": """
        BUFFER = bytearray(40_000)

        def test_it():
            BUFFER.extend(bytes(5000))
        """,
    "every second run, the first among them": """
        runs = itertools.count()

        def test_it():
            if next(runs) % 2 == 0:
                KEPT.extend(Session() for _ in range(20))
        """,
    "every second run, from the second on": """
        runs = itertools.count()

        def test_it():
            if next(runs) % 2:
                KEPT.extend(Session() for _ in range(20))
        """,
    "a dict from the free list": """
        def test_it():
            [{} for _ in range(100)]
            KEPT.append({})
        """,
    "a float from the free list, as a key": """
        KEPT = {}

        def test_it():
            [float(number) for number in range(200)]
            KEPT[time.perf_counter()] = 1
        """,
    "a chain of tuples from the free list": """
        CHAIN = None

        def test_it():
            global CHAIN
            [(number, ONE) for number in range(200)]
            CHAIN = (ONE, CHAIN)
        """,
    "a chain of objects": """
        CHAIN = None

        def test_it():
            global CHAIN
            one = Session()
            one.before, CHAIN = CHAIN, one
        """,
    "a buffer": """
        BUFFER = bytearray()

        def test_it():
            BUFFER.extend(bytes(5000))
        """,
    "objects that only C code has": """
        hold = ctypes.pythonapi.Py_IncRef
        hold.argtypes = [ctypes.py_object]

        def test_it():
            for _ in range(20):
                hold(bytes(200))
        """,
    "native memory": """
        libc = ctypes.CDLL(None)
        libc.strdup.restype = ctypes.c_void_p

        def test_it():
            for _ in range(100):
                libc.strdup(b"x" * 32 * 1024)
        """,
    "garbage, while the collector is off": """
        gc.disable()

        def test_it():
            for _ in range(20):
                one = Session()
                one.me = one
        """,
    "two rounds": """
        pytestmark = pytest.mark.memscope_leaks(rounds=2)

        def test_it():
            KEPT.append(Session())
        """,
    "three rounds of what was there": """
        pytestmark = pytest.mark.memscope_leaks(rounds=3)

        def test_it():
            KEPT.append(ONE)
        """,
    "more rounds than the tracer has epochs for": """
        pytestmark = pytest.mark.memscope_leaks(rounds=150)

        def test_it():
            KEPT.append(Session())
        """,
}


@pytest.mark.parametrize("leak", LEAKS)
def test_no_leak_is_lost(inner: Inner, leak: str) -> None:
    inner.write(HEAD + textwrap.dedent(LEAKS[leak]))
    result = inner.run()
    assert inner.verdicts == {"test_it": "leaks"}, result.stdout.str()


@pytest.mark.parametrize(
    ("rounds", "silent", "left"),
    [(5, 1, "ONE"), (5, 1, "Session()"), (6, 2, "Session()"), (20, 9, "ONE"), (20, 9, "Session()")],
)
def test_what_begins_in_the_middle_of_the_rounds(
    inner: Inner, rounds: int, silent: int, left: str
) -> None:
    inner.write(
        HEAD
        + textwrap.dedent(
            f"""
            pytestmark = pytest.mark.memscope_leaks(rounds={rounds})
            runs = itertools.count()

            # By then each round is like the one before.
            @pytest.mark.parametrize("number", range(10))
            def test_clean(number):
                pass

            def test_it():
                if next(runs) > {silent}:  # the first is no round
                    KEPT.append({left})
            """
        )
    )
    inner.run()
    verdicts = inner.verdicts
    assert verdicts.pop("test_it") == "leaks"
    assert set(verdicts.values()) == {"clean"}


def test_a_test_that_asks_is_judged_as_well_while_all_are(inner: Inner) -> None:
    walks = run(
        inner,
        """
        def test_leak():
            KEPT.append(ONE)

        def test_clean():
            pass
        """,
        "--memscope",
    )
    assert inner.verdicts == {"test_leak": "leaks", "test_clean": "clean"}
    assert walks["test_clean"] == 0


def test_a_repetition_that_fails_is_said(inner: Inner) -> None:
    inner.write(
        HEAD
        + textwrap.dedent(
            """
            runs = itertools.count()

            def test_in_the_third_run():
                assert next(runs) < 3

            more_runs = itertools.count()

            def test_in_the_eighth_run():
                KEPT.append(Session())
                assert next(more_runs) < 7
            """
        )
    )
    inner.run().assert_outcomes(passed=2)
    assert inner.verdicts == {
        "test_in_the_third_run": "not judged",
        "test_in_the_eighth_run": "not judged",
    }
    for one in inner.tests.values():
        assert one["notes"][0].startswith("it could not be repeated so often (AssertionError")


def test_a_test_that_ends_the_tracing_in_a_repetition(inner: Inner) -> None:
    walks = run(
        inner,
        """
        import memscope
        runs = itertools.count()

        def test_it():
            if next(runs) > 2:
                memscope.stop()
        """,
    )
    assert walks["test_it"] > 0
    assert inner.verdicts == {"test_it": "clean"}


def test_who_collects_garbage_sees_all_of_it(inner: Inner) -> None:
    """The rounds freeze nothing while a test runs."""
    run(
        inner,
        """
        def test_it():
            kept = [ONE]
            assert kept in gc.get_referrers(ONE)
            assert gc.get_freeze_count() < 1000
            assert any(one is KEPT for one in gc.get_objects())
        """,
    )
    assert inner.verdicts == {"test_it": "clean"}
    assert inner.tests["test_it"]["rounds"] == 5


def test_what_the_program_froze_stays_frozen(inner: Inner) -> None:
    walks = run(
        inner,
        """
        gc.freeze()

        def test_clean():
            assert gc.get_freeze_count() > 1000

        def test_leak():
            assert gc.get_freeze_count() > 1000
            KEPT.append(ONE)
        """,
    )
    assert inner.verdicts == {"test_clean": "clean", "test_leak": "leaks"}
    # There, what is replaced in the first test may outlast both trials.
    if sys.version_info < (3, 14):
        assert walks["test_clean"] == 0
