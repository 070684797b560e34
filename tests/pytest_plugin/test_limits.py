"""The marker memscope_limit: the peak of a test's body, and the line that held most then."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memscope.testing import parse_size
from tests.pytest_plugin.conftest import Inner


def test_limits(inner: Inner) -> None:
    inner.write(
        textwrap.dedent(
            """
            import time
            import pytest

            def limit(size):
                return pytest.mark.memscope_limit(size)

            @pytest.fixture
            def large():
                before = bytearray(8_000_000)
                yield before
                bytearray(8_000_000)

            @limit("24 MB")
            def test_below():
                bytearray(20_000_000)

            @limit("24 MB")
            def test_above():
                held = [bytearray(20_000_000)]
                held.append(bytearray(10_000_000))
                time.sleep(0.3)

            @limit("24 MB")
            def test_one_after_the_other():
                for _ in range(5):
                    bytearray(20_000_000)

            @limit("4 MB")
            def test_of_the_body_alone(large):
                assert len(large) == 8_000_000

            @limit("4 MB")
            def test_of_the_body(large):
                held = bytearray(5_000_000)
                time.sleep(0.3)

            @limit("4 MB")
            @pytest.mark.usefixtures("no_leaks")
            class TestBoth:
                kept = []

                def test_clean(self):
                    bytearray(1_000_000)

                def test_leak(self):
                    self.kept.append([bytearray(100) for _ in range(50)])

                def test_above(self):
                    bytearray(5_000_000)

            @limit(1000)
            def test_fails_by_itself():
                bytearray(5_000)
                assert False, "by itself"
            """
        )
    )
    result = inner.run("--junitxml=junit.xml")
    result.assert_outcomes(passed=4, failed=5)
    assert inner.verdicts == {
        "test_below": "clean",
        "test_above": "over limit",
        "test_one_after_the_other": "clean",
        "test_of_the_body_alone": "clean",
        "test_of_the_body": "over limit",
        "TestBoth::test_clean": "clean",
        "TestBoth::test_leak": "leaks",
        "TestBoth::test_above": "over limit",
        "test_fails_by_itself": "not judged",
    }
    found = inner.tests["test_above"]
    assert 30_000_000 <= found["peak"] < 30_100_000
    assert found["limit"] == 24_000_000
    assert inner.tests["test_below"]["limit"] == 24_000_000
    assert found["at_peak"][0]["lineno"] == 20
    result.stdout.fnmatch_lines(
        [
            "test_above allocated 28.6 MiB at its peak, and may 22.9 MiB.",
            "",
            "   At the peak most of it came from:",
            "   19.1 MiB in * block* test_inner.py:20  held = [[]bytearray(20_000_000)[]]",
            "   9.54 MiB in * block* test_inner.py:21  held.append(bytearray(10_000_000))",
            "*= memory (memscope) =*",
            "test_inner.py::test_above: peak 28.6 MiB, limit 22.9 MiB",
            "Biggest peaks:",
            "FAILED test_inner.py::test_above - allocated 28.6 MiB at its peak, and may 22...",
        ]
    )


def test_a_limit_alone_repeats_no_test_that_keeps_it(inner: Inner) -> None:
    inner.write(
        textwrap.dedent(
            """
            import pytest

            RUNS = []

            @pytest.mark.memscope_limit("1 MB")
            def test_it():
                RUNS.append(1)

            def test_once():
                assert len(RUNS) == 1
            """
        )
    )
    inner.run().assert_outcomes(passed=2)


def test_a_test_over_its_limit_that_cannot_be_repeated(inner: Inner) -> None:
    inner.write(
        textwrap.dedent(
            """
            import pytest

            @pytest.mark.memscope_limit("1 MB")
            def test_it():
                open("fixed", "x").close()
                bytearray(2_000_000)
            """
        )
    )
    result = inner.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "test_it allocated 1.91 MiB at its peak, and may 977 KiB.",
            "   what was there at the peak is not known: FileExistsError: *",
        ]
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        (1024, 1024),
        ("512", 512),
        ("512 B", 512),
        ("1 KB", 1000),
        ("1KiB", 1024),
        (" 24 mb ", 24_000_000),
        ("24 MiB", 24 << 20),
        ("1.5 GB", 1_500_000_000),
        ("0.5 KiB", 512),
        ("2 TiB", 2 << 40),
        ("0.1 MB", 100_000),
    ],
)
def test_sizes(text: int | str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", " ", "MB", "1 XB", "-1", "-1 MB", "1,5 MB", "1e3", "inf", "nan", "1 M B", "1 MB.", "1.",
     "\N{ARABIC-INDIC DIGIT ONE} MB", "1 \N{KELVIN SIGN}B", "1 MB 2", "0x10", -1],
)  # fmt: skip
def test_no_sizes(text: int | str) -> None:
    with pytest.raises(ValueError, match="a size "):
        parse_size(text)


@pytest.mark.parametrize("size", [None, 1.5, True, b"1 MB", ["1 MB"]])
def test_what_is_no_size_at_all(size: object) -> None:
    with pytest.raises(TypeError, match="a size is a number of bytes or a text like '24 MB'"):
        parse_size(size)  # type: ignore[arg-type]


@given(st.integers(0, 10**15), st.sampled_from(["B", "KB", "MB", "KiB", "MiB", "GiB"]))
def test_any_number_with_a_unit(number: int, unit: str) -> None:
    factor = parse_size(f"1 {unit}")
    for text in (f"{number} {unit}", f"{number}{unit.lower()}", f"  {number}  {unit.upper()} "):
        assert parse_size(text) == number * factor


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        assert parse_size(text) >= 0
    except ValueError as error:
        assert str(error).startswith("a size is a number and B, KB")
