"""diagnose() and watch(): what they report, what they cost the program, how they end.

The kinds of leaks, one by one, are the business of tests/test_corpus.py.
"""

from __future__ import annotations

import gc
import itertools
import signal
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import memscope
from memscope import LeakError, LeakReport, Watch, _memscope, diagnose, watch

HERE = __file__
this_module: Any = sys.modules[__name__]


class Session:
    """What leaks."""

    def __init__(self, size: int = 200) -> None:
        self.data = bytearray(size)


kept: list[Session] = []
cache: dict[str, Session] = {}


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    gc.collect()
    yield
    kept.clear()
    cache.clear()


def leak(count: int = 20) -> None:
    for _ in range(count):
        kept.append(Session())  # noqa: PERF401 -- a line of its own


LEAK_LINE = leak.__code__.co_firstlineno + 2


def clean() -> None:
    made = [Session() for _ in range(20)]
    assert made


def only(report: Any) -> Any:
    """The leak of Session; there must be no other of this file."""
    mine = [one for one in report.leaks if one.site is not None and one.site.filename == HERE]
    assert [one.type_name.rpartition(".")[2] for one in mine] == ["Session"], str(report)
    return mine[0]


def sessions(report: Any) -> list[Any]:
    return [one for one in report.leaks if one.type_name.endswith("Session")]


# -- diagnose


def test_a_leak_is_told_with_all_that_is_known() -> None:
    report = diagnose(leak, rounds=4)
    assert isinstance(report, LeakReport)
    found = only(report)
    assert (found.count, found.per_round) == (80, (20,) * 4)
    assert (found.site.lineno, found.site.function) == (LEAK_LINE, "leak")
    calls = [call.function for call in found.traceback if call.filename == HERE]
    assert calls[-2:] == ["leak", "test_a_leak_is_told_with_all_that_is_known"]
    assert found.source == "kept.append(Session())  # noqa: PERF401 -- a line of its own"
    assert found.kind == "growing-container"
    assert found.holder_type == "list"
    assert found.holder.endswith("-> kept")
    assert found.path.steps[-1].type_name.endswith("Session")
    assert found.bytes < found.retained_bytes
    assert found.retained_bytes >= 80 * 200
    assert report.title == "leak"
    assert report.rounds == 4
    assert report.python == sys.version.split()[0]
    assert [moment.label for moment in report.moments] == [
        "baseline",
        *(f"round {number}" for number in range(1, 5)),
    ]
    assert not memscope.is_tracing()


def test_what_does_not_leak() -> None:
    assert sessions(diagnose(clean, rounds=3)) == []


def test_a_cache_that_fills_and_stops_is_no_leak() -> None:
    def fill() -> None:
        for number in range(50):
            cache.setdefault(str(number), Session())

    assert sessions(diagnose(fill, rounds=3, warmup=0)) == []


def test_what_is_replaced_is_no_leak() -> None:
    def replace() -> None:
        kept[:] = [Session() for _ in range(50)]

    assert sessions(diagnose(replace, rounds=4)) == []


def test_what_is_full_in_the_last_round_is_no_leak() -> None:
    """It grew in all rounds but the last: then old entries went as new ones came."""
    numbers = itertools.count()

    def work() -> None:
        for number in itertools.islice(numbers, 50):
            cache[str(number)] = Session()
        while len(cache) > 200:
            del cache[next(iter(cache))]

    report = diagnose(work, rounds=3)  # 150, 200 and 200 entries, after two rounds to warm up
    assert sessions(report) == [], str(report)


class Link:
    """One in a chain, which is no container."""

    def __init__(self, before: Link | None) -> None:
        self.before = before


chain: Link | None = None


@pytest.mark.parametrize(("lengths", "leaks"), [((5, 5, 5, 5), True), ((5, 5, 5, 40), False)])
def test_what_is_mostly_of_the_last_round_may_be_at_work(
    lengths: tuple[int, ...], leaks: bool
) -> None:
    """Outside of containers: there a new object may lie where one of an earlier round lay."""
    global chain
    chain = Link(None)
    with watch() as watched:
        for number, length in enumerate(lengths):
            for _ in range(length):
                chain = Link(chain)
            watched.checkpoint(f"round {number}")
    found = [leak for leak in watched.report().leaks if leak.type_name.endswith("Link")]
    chain = None
    assert bool(found) is leaks


def test_what_a_worker_works_on_is_named_by_who_gave_it() -> None:
    """Not by a variable of the thread's own function, which is the library's."""
    done = threading.Event()
    pool = this_module.pool = ThreadPoolExecutor(1)
    pool.submit(done.wait)
    try:
        report = diagnose(lambda: [pool.submit(leak, number) for number in range(20)], rounds=4)
        [found] = [one for one in report.leaks if one.type_name.endswith("_WorkItem")]
        assert found.kind == "queue"
        assert found.holder.startswith(f"module {__name__} -> pool -> ._work_queue"), found.holder
        assert str(found.path).startswith(found.holder)
    finally:
        done.set()
        pool.shutdown(cancel_futures=True)
        this_module.pool = None


def test_classes_and_the_lists_that_bases_have_of_them_are_one_leak() -> None:
    classes: list[type] = []

    def workload() -> None:
        class Parent:
            pass

        class Child(Parent):
            pass

        classes.append(Child)

    report = diagnose(workload)
    [found] = [one for one in report.leaks if one.site is not None and one.site.filename == HERE]
    assert (found.type_name, found.count) == ("type", 2 * report.rounds)


def test_warm_up_rounds_are_not_judged() -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)

    report = diagnose(work, rounds=3, warmup=4)
    assert len(calls) == 7
    assert report.rounds == 3


class OwnList(list[Any]):
    pass


class OwnDict(dict[Any, Any]):
    pass


class OwnSet(set[Any]):
    pass


class OwnDeque(deque[Any]):
    pass


own_list, own_dict, own_set, own_deque = OwnList(), OwnDict(), OwnSet(), OwnDeque()
THINGS = [object() for _ in range(2000)]


@pytest.mark.parametrize("kind", ["list", "dict", "set", "deque"])
def test_what_was_there_is_put_into_a_container_of_an_own_class(kind: str) -> None:
    """Nothing is new but its entries."""
    held = getattr(this_module, f"own_{kind}")
    things = iter(THINGS)

    def put() -> None:
        for thing in itertools.islice(things, 50):
            if kind == "dict":
                held[thing] = None
            else:
                held.add(thing) if kind == "set" else held.append(thing)

    try:
        report = diagnose(put)
    finally:
        held.clear()
    (found,) = [one for one in report.leaks if one.holder_type.endswith(f"Own{kind.title()}")]
    assert f"own_{kind}" in found.holder
    assert found.type_name.endswith("object")
    assert found.count == 250


def test_wrong_numbers_of_rounds() -> None:
    for rounds in (0, -1):
        with pytest.raises(ValueError, match="1 or more"):
            diagnose(clean, rounds=rounds)
    with pytest.raises(TypeError):
        diagnose(5)  # type: ignore[arg-type]
    assert not memscope.is_tracing()


def test_titles() -> None:
    class Called:
        def __call__(self) -> None:
            pass

    titles = [
        diagnose(one, rounds=1, warmup=0, nframe=0, **more).title
        for one, more in ((clean, {}), (Called(), {}), (clean, {"title": "mine"}))
    ]
    assert titles[0] == "clean"
    assert titles[1].endswith("Called")
    assert titles[2] == "mine"


@pytest.mark.parametrize("raising_round", [1, 3, 4])
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit])
def test_what_the_workload_raises_comes_out(raising_round: int, error: type[BaseException]) -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) == raising_round:
            raise error("no more")

    with pytest.raises(error, match="no more"):
        diagnose(work, rounds=3)
    assert len(calls) == raising_round
    assert not memscope.is_tracing()


def test_without_tracing() -> None:
    found = [one for one in diagnose(leak, rounds=3, nframe=0).leaks if "kept" in one.holder]
    assert [one.type_name.rpartition(".")[2] for one in found] == ["Session"]
    assert found[0].site.lineno == LEAK_LINE, "read from the code that adds to it"
    assert 40 <= found[0].count <= 60, "an address used again hides what is there"
    assert not memscope.is_tracing()


def test_tracing_that_the_program_started_is_left_on() -> None:
    memscope.start(7)
    try:
        found = only(diagnose(leak, rounds=3))
        assert found.site.lineno == LEAK_LINE
        assert memscope.is_tracing()
        assert memscope.get_traceback_limit() == 7
    finally:
        memscope.stop()


def test_a_workload_that_stops_the_tracing() -> None:
    def work() -> None:
        leak()
        memscope.stop()

    report = diagnose(work, rounds=3)
    assert 40 <= sum(one.count for one in sessions(report)) <= 60
    assert not memscope.is_tracing()


# -- watch, with a block


def test_with_a_block() -> None:
    with watch(title="block") as watched:
        assert memscope.is_tracing()
        leak(50)
    assert not memscope.is_tracing()
    report = watched.report()
    assert report.title == "block"
    assert only(report).count == 50
    assert bool(watched) == bool(report)
    assert watched.leaks == report.leaks
    assert str(watched) == str(report)
    assert any("one round" in note for note in report.notes)


def test_a_block_that_raises() -> None:
    with pytest.raises(KeyError), watch():
        raise KeyError
    assert not memscope.is_tracing()


def test_a_block_with_rounds() -> None:
    with watch() as watched:
        for _ in range(3):
            leak()
            watched.checkpoint()
    assert [moment.label for moment in watched.report().moments][1:] == [
        f"checkpoint {number}" for number in (1, 2, 3)
    ]
    assert only(watched.report()).per_round == (20, 20, 20)


def test_a_watch_in_another() -> None:
    with watch() as outer:
        leak(30)
        with watch() as inner:
            leak(40)
        assert memscope.is_tracing(), "the outer one traces on"
        leak(30)
    assert not memscope.is_tracing()
    assert only(inner.report()).count == 40
    assert sum(one.count for one in sessions(outer.report())) == 100


def test_it_can_be_used_again() -> None:
    watched = watch()
    for count in (30, 60):
        with watched:
            leak(count)
        assert only(watched.report()).count == count
        assert not memscope.is_tracing()


# -- watch, as a decorator


def test_a_decorated_function_is_itself() -> None:
    @watch(max_objects=10**9)
    def work(number: int, *, more: str) -> str:
        """What it does."""
        return more * number

    assert not memscope.is_tracing()
    assert work(2, more="x") == "xx"
    assert (work.__name__, work.__doc__) == ("work", "What it does.")
    assert not memscope.is_tracing()


def test_a_call_that_leaves_too_much() -> None:
    @watch()
    def work() -> None:
        leak(50)

    with pytest.raises(LeakError) as caught:
        work()
    assert isinstance(caught.value, AssertionError)
    assert only(caught.value.report).count == 50
    assert str(caught.value) == str(caught.value.report)
    assert caught.value.report.title.endswith("work")
    assert not memscope.is_tracing()


def test_a_call_that_leaves_nothing() -> None:
    @watch(max_objects=20)
    def work() -> int:
        clean()
        return 5

    assert work() == 5


@pytest.mark.parametrize(
    ("limits", "exceeded"),
    [
        ({"max_bytes": 5_000}, True),
        ({"max_bytes": 10_000_000}, False),
        ({"max_objects": 49}, True),
        ({"max_objects": 10_000}, False),
        ({"max_bytes": 10_000_000, "max_objects": 49}, True),
        ({"max_bytes": 5_000, "max_objects": 10_000}, True),
    ],
)
def test_limits(limits: dict[str, int], exceeded: bool) -> None:
    reports: list[LeakReport] = []

    @watch(**limits, on_leak=reports.append)
    def work() -> str:
        leak(50)
        return "done"

    assert work() == "done"
    assert len(reports) == exceeded
    if exceeded:
        assert only(reports[0]).count == 50


def test_a_decorated_function_that_raises() -> None:
    @watch(on_leak=lambda report: pytest.fail("it raised"))
    def work() -> None:
        leak(50)
        raise KeyError("its own")

    with pytest.raises(KeyError, match="its own"):
        work()
    assert not memscope.is_tracing()


def test_what_on_leak_raises_comes_out() -> None:
    def refuse(report: LeakReport) -> None:
        raise RuntimeError(f"{len(report.leaks)} leaks")

    @watch(on_leak=refuse)
    def work() -> None:
        leak(50)

    with pytest.raises(RuntimeError, match="leaks"):
        work()
    assert not memscope.is_tracing()


# -- watch, in a service


def test_a_detector() -> None:
    detector = watch()
    try:
        for number in range(4):
            leak()
            detector.checkpoint(f"hour {number}")
        report = detector.report()
        assert [moment.label for moment in report.moments][1:] == [
            f"hour {number}" for number in range(4)
        ]
        found = only(report)
        assert found.per_round == (20,) * 4
        assert detector.report() is report, "nothing happened since"
        leak(21)
        detector.checkpoint("later")
        assert only(detector.report()).per_round == (20, 20, 20, 20, 21)
    finally:
        detector.stop()
    assert not memscope.is_tracing()
    assert only(detector.report()).count == 101
    detector.stop()


def test_a_report_without_a_checkpoint_is_of_now() -> None:
    detector = watch(nframe=0)
    leak(50)
    assert [moment.label for moment in detector.report().moments] == ["baseline", "now"]
    assert 35 <= sum(one.count for one in sessions(detector.report())) <= 50
    detector.stop()


def test_begin_forgets_what_was() -> None:
    detector = watch()
    leak(500)
    detector.checkpoint()
    detector.begin()
    for _ in range(3):
        leak(30)
        detector.checkpoint()
    assert only(detector.report()).count == 90
    assert detector.report().rounds == 3
    detector.stop()


def test_what_has_been_alive_for_long() -> None:
    detector = watch()
    for _ in range(3):
        leak(30)
        detector.checkpoint()
    mine = [
        [
            (row.count, row.site.lineno)
            for row in detector.alive(checkpoints=checkpoints, type_name="Session")
            if row.site is not None
        ]
        for checkpoints in range(4)
    ]
    detector.stop()
    assert mine == [[(90, LEAK_LINE)], [(60, LEAK_LINE)], [(30, LEAK_LINE)], []]
    assert detector.alive(seconds=10**9) == []
    assert "Session" in str(detector.alive(type_name="Session")[0])
    name = f"{Session.__module__}.Session"
    assert detector.alive(type_name=name) == detector.alive(type_name="Session")
    assert detector.alive(type_name="Nothing") == []


def test_what_is_watched_does_not_grow_by_watching() -> None:
    detector = watch()
    for _ in range(6):
        detector.checkpoint()
    report = detector.report()
    detector.stop()
    assert [one for one in report.leaks if "memscope" in str(one)] == []
    counts = [moment.objects for moment in report.moments[1:]]
    assert max(counts) - min(counts) < 100, counts


def test_a_report_holds_none_of_the_objects() -> None:
    with watch() as watched:
        leak(50)
    report = watched.report()
    alive = weakref.ref(kept[0])
    del kept[0]
    gc.collect()
    assert alive() is None
    again = LeakReport.from_dict(report.to_dict())
    assert again == report


def test_the_collector_is_left_as_it_is() -> None:
    for enabled, threshold in ((True, (700, 10, 10)), (False, (700, 10, 10)), (True, (0, 5, 5))):
        before = gc.isenabled(), gc.get_threshold()
        try:
            (gc.enable if enabled else gc.disable)()
            gc.set_threshold(*threshold)
            seen = gc.get_threshold()
            report = diagnose(clean, rounds=2, nframe=0)
            assert (gc.isenabled(), gc.get_threshold()) == (enabled, seen)
            said = any("collector off" in note for note in report.notes)
            assert said == (not enabled or threshold[0] == 0)
        finally:
            (gc.enable if before[0] else gc.disable)()
            gc.set_threshold(*before[1])


def test_garbage_while_the_collector_is_off() -> None:
    def cycles() -> None:
        for _ in range(30):
            one: Any = Session()
            one.itself = one

    gc.disable()
    try:
        report = diagnose(cycles, rounds=3)
    finally:
        gc.enable()
    [found] = sessions(report)
    assert (found.kind, found.count) == ("uncollected-cycle", 90)
    assert "gc.isenabled() is False" in found.evidence
    assert sessions(diagnose(cycles, rounds=3)) == []


def test_in_a_signal_handler() -> None:
    detector = watch()
    reports: list[LeakReport] = []

    def handler(*_: object) -> None:
        detector.checkpoint("signal")
        reports.append(detector.report())

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        leak(50)
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
        detector.stop()
    assert only(reports[0]).count == 50


def test_in_a_process_of_its_own(run_python: Callable[..., Any]) -> None:
    """With nothing else imported: a report, and the child of a fork with its own."""
    done = run_python(
        """
import os, memscope
class Session:
    pass
kept = []
def leak():
    for _ in range(20):
        kept.append(Session())
detector = memscope.watch()
pid = os.fork()
if pid == 0:
    for number in range(3):
        leak()
        detector.checkpoint()
    [found] = detector.report().leaks
    assert found.holder == "module __main__ -> kept", found
    detector.stop()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
for number in range(3):
    detector.checkpoint()
assert not detector.report(), detector.report()
detector.stop()
report = memscope.diagnose(leak)
[found] = report.leaks
assert (found.count, found.site.lineno) == (100, 8), found
print(found.kind, found.holder)
""",
    )
    assert done.stdout == "growing-container module __main__ -> kept\n"


def test_importing_memscope_imports_nothing_of_it(run_python: Callable[..., Any]) -> None:
    done = run_python(
        "import memscope, sys;print([name for name in sys.modules if name.startswith('memscope.')])"
    )
    assert "memscope.leak" not in done.stdout


def test_public_names() -> None:
    assert issubclass(LeakError, AssertionError)
    assert isinstance(watch(nframe=0), Watch)
    with pytest.raises(TypeError):
        watch(nonsense=5)
    assert not _memscope.is_tracing()
