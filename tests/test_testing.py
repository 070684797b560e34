"""memscope.testing: leak checks for any test runner."""

from __future__ import annotations

import textwrap
import unittest
from pathlib import Path
from typing import Any

import pytest

import memscope
from memscope.leak_report import Leak, LeakReport, Moment, Site
from memscope.leaks import LeakError
from memscope.testing import Allowance, assert_no_leaks
from tests.conftest import RunPython


class Session:
    pass


@pytest.fixture
def kept() -> list[Any]:
    return []


def test_a_clean_function_returns_its_report() -> None:
    report = assert_no_leaks(lambda: [Session() for _ in range(50)])
    assert report.rounds == 5
    assert not report.leaks


def test_a_leak_raises_with_report_and_text(kept: list[Any]) -> None:
    def work() -> None:
        kept.extend(Session() for _ in range(20))

    with pytest.raises(LeakError) as caught:
        assert_no_leaks(work, rounds=3)
    assert isinstance(caught.value, AssertionError)
    (leak,) = caught.value.report.leaks
    assert leak.per_round == (20, 20, 20)
    lines = str(caught.value).splitlines()
    assert ".work leaks +20 Session in each of 3 runs: " in lines[0]
    order = ["   what  ", "   allocated at ", "   held by ", "   evidence ", "   what to do "]
    assert [line[: len(start)] for line in lines for start in order if line.startswith(start)] == (
        order
    )
    assert "kept.extend(Session() for _ in range(20))" in str(caught.value)


def test_a_cache_that_fills_is_no_leak(kept: list[Any]) -> None:
    cache: dict[int, Session] = {}

    def work() -> None:
        for number in range(100):
            cache.setdefault(number, Session())

    assert_no_leaks(work)


def test_it_runs_as_often_as_it_is_told() -> None:
    runs = []
    assert_no_leaks(lambda: runs.append(1) if len(runs) > 100 else [runs.append(1)], rounds=3,
                    warmup=1, ignore="*")  # fmt: skip
    assert len(runs) == 4


def test_what_the_function_raises_comes_out() -> None:
    def work() -> None:
        raise KeyError("it")

    with pytest.raises(KeyError, match="it"):
        assert_no_leaks(work)


@pytest.mark.parametrize(
    ("options", "leaks"),
    [
        ({"max_objects": 20}, False),
        ({"max_objects": 19}, True),
        ({"max_bytes": "64 KiB"}, False),
        ({"max_bytes": 100}, True),
        ({"max_objects": 20, "max_bytes": 100}, True),
        ({"types": Session}, True),
        ({"types": "Session"}, True),
        ({"types": ["Other", f"{__name__}.Session"]}, True),
        ({"types": ["Other", dict]}, False),
        ({"types": "ession"}, False),
        ({"ignore": "Session"}, False),
        ({"ignore": ["Other", "*.Session"]}, False),
        ({"ignore": "*test_testing.py"}, False),
        ({"ignore": "Other"}, True),
    ],
)
def test_what_is_allowed(kept: list[Any], options: dict[str, Any], leaks: bool) -> None:
    def work() -> None:
        kept.extend(Session() for _ in range(20))

    if leaks:
        with pytest.raises(LeakError, match="20 Session in each of 3 runs"):
            assert_no_leaks(work, rounds=3, **options)
    else:
        assert_no_leaks(work, rounds=3, **options)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"max_objects": -1}, ValueError, "max_objects must be a number of objects, not -1"),
        ({"max_objects": "2"}, ValueError, "max_objects must be a number of objects, not '2'"),
        ({"max_objects": True}, ValueError, "max_objects must be a number of objects, not True"),
        ({"max_bytes": "2 QB"}, ValueError, "a size is a number and B, KB"),
        ({"max_bytes": 1.5}, TypeError, "a size is a number of bytes or a text"),
        ({"types": 3}, TypeError, "types are classes or their names, not 3"),
        ({"types": [3]}, TypeError, "types are classes or their names, not 3"),
        ({"ignore": 3}, TypeError, "ignore is patterns of classes, files and holders, not 3"),
        ({"ignore": [None]}, TypeError, "ignore is patterns of classes, .*, not None"),
        ({"rounds": 0}, ValueError, "rounds must be 1 or more, not 0"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception], said: str) -> None:
    """Before the function runs."""
    with pytest.raises(error, match=said):
        assert_no_leaks(lambda: pytest.fail("it ran"), **options)
    if "rounds" not in options:
        with pytest.raises(error, match=said):
            assert_no_leaks(**options)


# -- as a context manager


def test_a_block(kept: list[Any]) -> None:
    with assert_no_leaks():
        [Session() for _ in range(50)]
    with pytest.raises(LeakError, match=r"the block leaks \+20 Session in one run"):
        with assert_no_leaks():
            kept.extend(Session() for _ in range(20))
    with assert_no_leaks(max_objects=20):
        kept.extend(Session() for _ in range(20))
    with assert_no_leaks(ignore="Session"):
        kept.extend(Session() for _ in range(20))


def test_an_error_in_the_block_is_not_hidden(kept: list[Any]) -> None:
    def work() -> None:
        with assert_no_leaks():
            kept.extend(Session() for _ in range(20))
            raise KeyError("it")

    with pytest.raises(KeyError):
        work()
    assert not memscope.is_tracing()


# -- in unittest


class Checks(unittest.TestCase):
    kept: list[Any] = []

    def test_clean(self) -> None:
        assert_no_leaks(lambda: [Session()])

    def test_leak(self) -> None:
        assert_no_leaks(lambda: self.kept.extend(Session() for _ in range(20)), rounds=3)

    def test_block(self) -> None:
        with assert_no_leaks():
            self.kept.extend(Session() for _ in range(20))


Checks.__test__ = False  # type: ignore[attr-defined]


def test_in_unittest() -> None:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Checks).run(result)
    assert result.testsRun == 3
    assert not result.errors
    assert sorted(case.id().rpartition(".")[2] for case, _ in result.failures) == [
        "test_block",
        "test_leak",
    ]
    assert "leaks +20 Session" in result.failures[0][1]


# -- Allowance


def leak_of(type_name: str, count: int, size: int, holder: str = "module app -> kept") -> Leak:
    return Leak(
        kind="growing-container",
        verdict="the list only grows",
        advice="",
        type_name=type_name,
        count=count,
        bytes=size,
        retained_bytes=size,
        per_round=(count,),
        site=Site("/src/app.py", 3, "work"),
        holder=holder,
        holder_type="list",
    )


REPORT = LeakReport(
    leaks=(leak_of("app.One", 30, 3000), leak_of("app.Two", 10, 9000, "module app -> more")),
    moments=tuple(Moment(f"round {number}", 0.0, 0, 0, None) for number in range(6)),
)


@pytest.mark.parametrize(
    ("options", "excess"),
    [
        ({}, ["app.One", "app.Two"]),
        # Of all leaks together, by the average of the rounds.
        ({"max_objects": 8}, []),
        ({"max_objects": 7}, ["app.One", "app.Two"]),
        ({"max_bytes": 2400}, []),
        ({"max_bytes": "2.3 KB"}, ["app.One", "app.Two"]),
        ({"max_objects": 8, "max_bytes": 2399}, ["app.One", "app.Two"]),
        # Only what counts is counted.
        ({"max_objects": 6, "ignore": "app.Two"}, []),
        ({"max_objects": 5, "ignore": "app.Two"}, ["app.One"]),
        ({"types": "Two"}, ["app.Two"]),
        ({"types": ["app.One"]}, ["app.One"]),
        ({"ignore": "module app -> kept"}, ["app.Two"]),
        ({"ignore": "/src/*"}, []),
        ({"ignore": "app.*"}, []),
        ({"types": "Two", "ignore": "Two"}, []),
    ],
)
def test_allowance(options: dict[str, Any], excess: list[str]) -> None:
    found = Allowance.of(**options).excess(REPORT)
    assert [leak.type_name for leak in found] == excess


def test_allowance_of_classes() -> None:
    assert Allowance.of(types=dict).types == ("dict",)
    assert Allowance.of(types=[Session, "Other"]).types == (f"{__name__}.Session", "Other")
    assert Allowance.of(max_bytes="1 KiB").max_bytes == 1024


def test_in_the_test_runner_of_django(run_python: RunPython, tmp_path: Path) -> None:
    """A leak is the failure of its test, with the line and the holder."""
    pytest.importorskip("django")
    (tmp_path / "test_shop.py").write_text(
        textwrap.dedent(
            """
            from django.test import SimpleTestCase
            from memscope.testing import assert_no_leaks

            class Session:
                pass

            KEPT = []

            class Shop(SimpleTestCase):
                def test_leak(self):
                    assert_no_leaks(lambda: KEPT.append(Session()))

                def test_clean(self):
                    assert_no_leaks(lambda: self.client.get("/nowhere"))
            """
        )
    )
    program = f"""
        import sys, types
        sys.path.insert(0, {str(tmp_path)!r})
        import django
        from django.conf import settings
        sys.modules["shop_urls"] = types.ModuleType("shop_urls")
        sys.modules["shop_urls"].urlpatterns = []
        settings.configure(ROOT_URLCONF="shop_urls", ALLOWED_HOSTS=["testserver"])
        django.setup()
        from django.test.runner import DiscoverRunner
        failures = DiscoverRunner(top_level={str(tmp_path)!r}).run_tests([{str(tmp_path)!r}])
        sys.exit(0 if failures == 1 else 3)
        """
    done = run_python(textwrap.dedent(program))
    assert "FAIL: test_leak" in done.stderr
    assert "FAIL: test_clean" not in done.stderr
    assert "+1 Session in each of 5 runs" in done.stderr
    assert "module test_shop -> KEPT" in done.stderr
