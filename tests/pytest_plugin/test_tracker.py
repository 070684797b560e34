"""The fixture memscope: take, compare, assert inside a test."""

from __future__ import annotations

import textwrap

from tests.pytest_plugin.conftest import Inner


def test_the_fixture(inner: Inner) -> None:
    inner.write(
        textwrap.dedent(
            """
            import memscope as package
            import pytest
            from memscope.leaks import LeakError

            class Session:
                pass

            KEPT = []

            def leak():
                KEPT.extend(Session() for _ in range(20))

            def test_added(memscope):
                before = memscope.take()
                leak()
                assert memscope.added("Session", since=before) == 20
                assert memscope.added(Session, since=before) == 20
                KEPT.clear()
                assert memscope.added(Session, since=before) == 0

            def test_compare(memscope):
                before = memscope.take()
                leak()
                rows = memscope.compare(before).types
                assert any(row.type_name.endswith("Session") for row in rows)

            def test_assert_no_leaks(memscope):
                memscope.assert_no_leaks(lambda: [Session()])
                memscope.assert_no_leaks(leak, rounds=3, max_objects=20)
                with pytest.raises(LeakError, match="20 Session in each of 3 runs"):
                    memscope.assert_no_leaks(leak, rounds=3)

            def test_watch(memscope):
                with memscope.watch() as watched:
                    leak()
                assert watched.report().title.endswith("::test_watch")
                assert watched.leaks

            def test_limit(memscope):
                with memscope.limit("2 MB"):
                    bytearray(1_000_000)
                with pytest.raises(AssertionError, match="the block allocated .* and may 977 KiB"):
                    with memscope.limit("1 MB"):
                        bytearray(2_000_000)
                with pytest.raises(ValueError, match="a size is a number"):
                    with memscope.limit("1 QB"):
                        pass
                with pytest.raises(KeyError):
                    with memscope.limit("1 MB"):
                        raise KeyError("it")

            def test_tracing_is_left_off():
                assert not package.is_tracing()

            @pytest.mark.memscope_leaks(rounds=3)
            def test_beside_the_judge(memscope):
                before = memscope.take()
                assert memscope.added(Session, since=before) == 0
            """
        )
    )
    result = inner.run()
    result.assert_outcomes(passed=7)
    assert inner.verdicts == {"test_beside_the_judge": "clean"}


def test_a_failed_assertion_is_the_failure_of_its_test(inner: Inner) -> None:
    inner.write(
        textwrap.dedent(
            """
            class Session:
                pass

            KEPT = []

            def test_leak(memscope):
                memscope.assert_no_leaks(lambda: KEPT.extend([Session(), Session()]), rounds=3)
            """
        )
    )
    result = inner.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*LeakError: *leaks +2 Session in each of 3 runs: *"])
