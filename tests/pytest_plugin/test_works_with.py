"""The plugin beside others, and items that are no plain functions."""

from __future__ import annotations

import importlib.util
import textwrap

import pytest

from tests.pytest_plugin.conftest import Inner

HEAD = """
import pytest

class Session:
    pass

KEPT = []

def leak(number=20):
    KEPT.extend(Session() for _ in range(number))
"""


def code(source: str) -> str:
    return HEAD + textwrap.dedent(source)


def needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


@pytest.fixture(autouse=True)
def beside_all_others(inner: Inner) -> None:
    inner.with_all_plugins()


def test_xdist(inner: Inner) -> None:
    """What workers find is merged in the controller."""
    needs("xdist")
    result = inner.judge(
        code(
            """
            import os, pathlib

            @pytest.mark.parametrize("number", range(4))
            def test_leak(number):
                pathlib.Path(os.environ["PYTEST_XDIST_WORKER"]).touch()
                leak(20 + number)

            @pytest.mark.parametrize("number", range(4))
            def test_clean(number):
                pass

            @pytest.mark.memscope_limit("1 MB")
            def test_large():
                bytearray(5_000_000)
            """
        ),
        *("-n", "2"),
        *("--memscope-known=known.txt", "--memscope-known-update"),
        *("--memscope-top=3", "--memscope-save=leaks", "--junitxml=junit.xml"),
    )
    result.assert_outcomes(passed=4, failed=5)
    assert (inner.folder / "gw0").exists() and (inner.folder / "gw1").exists()
    assert inner.verdicts == {
        **{f"test_leak[{number}]": "leaks" for number in range(4)},
        **{f"test_clean[{number}]": "clean" for number in range(4)},
        "test_large": "over limit",
    }
    assert [one["nodeid"] for one in inner.data["tests"]] == sorted(
        one["nodeid"] for one in inner.data["tests"]
    )
    assert inner.data["leaking"] == 4
    result.stdout.fnmatch_lines(
        [
            "test_leak[[]*[]] leaks +2? Session in each of 5 runs: the list only grows.",
            "*= memory (memscope) =*",
            "test_inner.py::test_leak[[]3[]]",
            "... 1 more tests that leak",
            "*known.txt made, with 4 known leaks",
            "9 tests looked at, 4 leak, *",
        ]
    )
    assert result.stdout.str().count("= memory (memscope) =") == 1
    assert len(list((inner.folder / "leaks").glob("*.json"))) == 4
    # And then they are known to the workers.
    result = inner.run("--memscope", "-n", "2", "--memscope-known=known.txt")
    result.assert_outcomes(passed=8, failed=1)


def test_settings_that_are_wrong_are_one_sentence_under_xdist(inner: Inner) -> None:
    needs("xdist")
    result = inner.judge("def test_it():\n    pass\n", "-n", "2", "--memscope-rounds=0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: memscope_rounds must be a number of 1 or more, not 0"])


def test_parametrized_with_long_ids(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            IDS = ["x" * 300 + "/a", "x" * 300 + "/b", "ü [1] | 'quoted' \\\\n"]

            @pytest.mark.parametrize("number", [1, 2, 3], ids=IDS)
            def test_leak(number):
                leak()
            """
        ),
        "--memscope-save=leaks",
        "--memscope-rounds=3",
    )
    result.assert_outcomes(failed=3)
    saved = list((inner.folder / "leaks").glob("*.json"))
    assert len(saved) == 3, "each has a file of its own"
    assert all(len(path.name) < 200 for path in saved)


def test_unittest(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            import collections
            import unittest

            LOG = collections.Counter()  # not a list: one that only grows is a leak

            class TestIt(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    LOG["class begins"] += 1

                @classmethod
                def tearDownClass(cls):
                    LOG["class ends"] += 1

                def setUp(self):
                    LOG["begins"] += 1
                    self.held = [Session() for _ in range(50)]
                    self.addCleanup(LOG.update, ["cleaned"])

                def tearDown(self):
                    LOG["ends"] += 1

                def test_clean(self):
                    self.more = [Session() for _ in range(50)]

                def test_leak(self):
                    LOG["body"] += 1
                    leak()

                @pytest.mark.memscope_leaks(max_objects=30)
                def test_allowed(self):
                    leak()

                @unittest.expectedFailure
                def test_expected(self):
                    leak()
                    self.fail()

                def test_skips(self):
                    self.skipTest("not here")

                def test_second_run_fails(self):
                    self.assertNotIn("ran", LOG)
                    LOG["ran"] += 1
                    leak(200)

            def test_log():
                assert LOG["class begins"] == LOG["class ends"] == 1
                assert LOG["begins"] == LOG["ends"] == LOG["cleaned"]
                assert LOG["body"] > 5
            """
        ),
    )
    result.assert_outcomes(passed=4, failed=1, skipped=1, xfailed=1)
    assert inner.verdicts == {
        "TestIt::test_allowed": "clean",
        "TestIt::test_clean": "clean",
        "TestIt::test_expected": "not judged",
        "TestIt::test_leak": "leaks",
        "TestIt::test_second_run_fails": "not judged",
        "TestIt::test_skips": "not judged",
        "test_log": "clean",
    }
    result.stdout.fnmatch_lines(
        ["*test_second_run_fails: judged on one round, because it could not be repeated (Assert*"]
    )


def test_unittest_async(inner: Inner) -> None:
    inner.write(
        code(
            """
            import unittest

            class TestIt(unittest.IsolatedAsyncioTestCase):
                async def test_clean(self):
                    [Session() for _ in range(50)]

                async def test_leak(self):
                    leak()
            """
        ).replace("class TestIt", "@pytest.mark.memscope_leaks\nclass TestIt")
    )
    inner.run().assert_outcomes(passed=1, failed=1)
    assert inner.verdicts == {"TestIt::test_clean": "clean", "TestIt::test_leak": "leaks"}


def test_classes(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            class TestIt:
                shared = []

                @pytest.fixture(autouse=True)
                def held(self):
                    self.it = [Session() for _ in range(50)]
                    yield
                    assert self.it

                def test_clean(self):
                    self.more = [Session() for _ in range(50)]

                def test_leak(self):
                    self.shared.append(Session())
                    leak()

                @pytest.mark.parametrize("number", [1, 2])
                def test_parametrized(self, number, tmp_path):
                    assert self.it
            """
        )
    )
    result.assert_outcomes(passed=3, failed=1)
    assert inner.verdicts["TestIt::test_leak"] == "leaks"


def test_hypothesis(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            from hypothesis import given, settings, strategies as st

            @settings(max_examples=20, deadline=None, database=None)
            @given(st.lists(st.integers()), st.text())
            def test_clean(numbers, text):
                assert sorted(numbers) == sorted(numbers)

            @settings(max_examples=20, deadline=None, database=None)
            @given(st.integers())
            def test_leak(number):
                KEPT.append(Session())

            class TestIt:
                @settings(max_examples=20, deadline=None, database=None)
                @given(st.data())
                def test_clean(self, data):
                    data.draw(st.integers())

            @settings(max_examples=20, deadline=None, database=None)
            @given(st.data())
            def test_makes_strategies(data):
                # Each of them another key in hypothesis's cache.
                data.draw(st.lists(st.builds(lambda: 1)))
            """
        ),
    )
    result.assert_outcomes(passed=3, failed=1)
    assert inner.verdicts == {
        "test_clean": "clean",
        "test_leak": "leaks",
        "TestIt::test_clean": "clean",
        "test_makes_strategies": "clean",
    }
    # What its cache has is not taken for a leak, which would need more runs to be told from one.
    assert inner.tests["test_makes_strategies"]["runs"] <= 9
    result.stdout.fnmatch_lines(["test_leak leaks +20 Session in each of 5 runs: *"])


def test_doctests(inner: Inner) -> None:
    inner.write(
        textwrap.dedent(
            '''
            """
            >>> number = 3
            >>> number + 1
            4
            """

            class Session:
                pass

            KEPT = []

            def leak():
                """
                >>> KEPT.extend(Session() for _ in range(20))
                >>> len(KEPT) >= 20
                True
                """

            def once():
                """
                >>> many = [Session() for _ in range(50)]
                >>> assert not globals().get("RAN")
                """
            '''
        ),
        "example.py",
    )
    inner.write("Some text::\n\n    >>> 1 + 1\n    2\n", "test_text.txt")
    result = inner.run("--memscope", "--doctest-modules", "--doctest-glob=*.txt", "-v")
    result.assert_outcomes(passed=3, failed=1)
    assert inner.verdicts == {
        "example": "clean",
        "example.leak": "leaks",
        "example.once": "clean",
        "test_text.txt": "clean",
    }
    assert inner.tests["example.leak"]["runs"] > 5
    result.stdout.fnmatch_lines(["*example.leak* leaks +20 Session in each of 5 runs: *"])


def test_subtests(inner: Inner) -> None:
    if pytest.version_tuple < (9,):
        pytest.skip("pytest before 9 has no subtests")
    result = inner.judge(
        code(
            """
            def test_leak(subtests):
                for number in range(3):
                    with subtests.test(number=number):
                        leak(10)

            def test_clean(subtests):
                for number in range(3):
                    with subtests.test(number=number):
                        pass

            def test_fails(subtests):
                for number in range(3):
                    with subtests.test(number=number):
                        leak(10)
                        assert number != 1
            """
        )
    )
    assert inner.verdicts["test_leak"] == "leaks"
    assert inner.verdicts["test_clean"] == "clean"
    assert inner.verdicts["test_fails"] == "not judged"
    result.stdout.fnmatch_lines(["FAILED test_inner.py::test_leak - leaks +30 Session *"])


def test_asyncio(inner: Inner) -> None:
    needs("pytest_asyncio")
    result = inner.judge(
        code(
            """
            import asyncio
            import pytest_asyncio

            TASKS = []

            @pytest_asyncio.fixture
            async def held():
                await asyncio.sleep(0)
                yield [Session() for _ in range(50)]
                await asyncio.sleep(0)

            @pytest.mark.asyncio
            async def test_clean(held):
                await asyncio.sleep(0)

            @pytest.mark.asyncio
            async def test_leak(held):
                await asyncio.sleep(0)
                leak()

            @pytest.mark.asyncio(loop_scope="module")
            async def test_module_loop():
                await asyncio.sleep(0)

            @pytest.mark.asyncio(loop_scope="module")
            async def test_task(no_leaks):
                async def wait():
                    await asyncio.Event().wait()
                TASKS.append(asyncio.create_task(wait(), name="poll"))
                await asyncio.sleep(0)
            """
        )
    )
    result.assert_outcomes(passed=2, failed=2)
    assert inner.verdicts == {
        "test_clean": "clean",
        "test_leak": "leaks",
        "test_module_loop": "clean",
        "test_task": "leaks",
    }
    result.stdout.fnmatch_lines(["   task 'poll' is pending"])


def test_anyio(inner: Inner) -> None:
    needs("anyio")
    result = inner.judge(
        code(
            """
            import anyio

            @pytest.fixture
            def anyio_backend():
                return "asyncio"

            @pytest.fixture
            async def held():
                await anyio.sleep(0)
                yield [Session() for _ in range(50)]

            @pytest.mark.anyio
            async def test_clean(held):
                await anyio.sleep(0)

            @pytest.mark.anyio
            async def test_leak(held):
                await anyio.sleep(0)
                leak()
            """
        )
    )
    result.assert_outcomes(passed=1, failed=1)
    assert inner.verdicts == {"test_clean": "clean", "test_leak": "leaks"}


def test_randomly(inner: Inner) -> None:
    needs("pytest_randomly")
    inner.arguments = ()
    result = inner.judge(
        code(
            """
            import random

            @pytest.mark.parametrize("number", range(6))
            def test_it(number):
                random.random()
                if number == 3:
                    leak()
            """
        ),
    )
    result.assert_outcomes(passed=5, failed=1)
    assert inner.verdicts["test_it[3]"] == "leaks"


def test_rerunfailures(inner: Inner) -> None:
    """A test that fails at first is judged when it passes; a leak fails each of its runs."""
    needs("pytest_rerunfailures")
    result = inner.judge(
        code(
            """
            runs = iter(range(10**9))

            def test_flaky():
                assert next(runs) >= 1

            def test_flaky_leak(no_leaks):
                leak()

            def test_clean():
                pass
            """
        ),
        *("--reruns=1", "-p", "no:flaky"),
    )
    result.assert_outcomes(passed=2, failed=1)
    assert result.parseoutcomes()["rerun"] == 2
    result.stdout.fnmatch_lines(["FAILED test_inner.py::test_flaky_leak - leaks +20 Session *"])


def test_flaky(inner: Inner) -> None:
    """A leak of a test that flaky repeats is an error of its teardown: its body is logged."""
    needs("flaky")
    result = inner.judge(
        code(
            """
            from flaky import flaky

            runs = iter(range(10**9))

            @flaky(max_runs=3)
            def test_flaky():
                assert next(runs) >= 1

            @flaky(max_runs=3)
            def test_flaky_leak():
                leak()

            def test_leak():
                leak()

            def test_clean():
                pass
            """
        ),
        *("-p", "no:rerunfailures"),
    )
    result.assert_outcomes(passed=3, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "FAILED test_inner.py::test_leak - leaks +20 Session *",
            "ERROR test_inner.py::test_flaky_leak - leaks +20 Session *",
        ]
    )


def test_cov(inner: Inner) -> None:
    needs("pytest_cov")
    result = inner.judge(
        code(
            """
            def test_clean():
                pass

            def test_leak():
                leak()
            """
        ),
        "--cov=.",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*= memory (memscope) =*", "TOTAL *"])
    assert inner.verdicts == {"test_clean": "clean", "test_leak": "leaks"}


def test_last_failed(inner: Inner) -> None:
    source = code(
        """
        def test_clean():
            pass

        def test_leak():
            leak()
        """
    )
    inner.judge(source).assert_outcomes(passed=1, failed=1)
    result = inner.run("--memscope", "--lf")
    result.assert_outcomes(failed=1)
    inner.judge(source.replace("leak()\n", "pass\n").replace("def pass", "def leak()"), "--lf")
    assert inner.verdicts == {"test_leak": "clean"}


@pytest.mark.parametrize("option", ["-x", "--setup-only", "--setup-plan", "--collect-only"])
def test_options_that_end_early(inner: Inner, option: str) -> None:
    result = inner.judge(
        code(
            """
            def test_leak():
                leak()

            def test_leak_too():
                leak()
            """
        ),
        option,
    )
    text = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in text and "INTERNALERROR" not in text
    if option == "-x":
        result.assert_outcomes(failed=1)
    else:
        assert result.ret == pytest.ExitCode.OK
