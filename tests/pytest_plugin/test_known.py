"""The file of known leaks: what is in it fails no test, and it only gets shorter."""

from __future__ import annotations

import textwrap

import pytest

from memscope.pytest_plugin.known import HEAD
from tests.pytest_plugin.conftest import Inner

SOURCE = textwrap.dedent(
    """
    class Session:
        pass

    KEPT, MORE = [], []
    NUMBER, OTHER = 20, 0

    def test_leak():
        KEPT.extend(Session() for _ in range(NUMBER))

    def test_other():
        MORE.extend(Session() for _ in range(OTHER))
    """
)
LINE = "test_inner.py::test_leak | test_inner.Session | module test_inner -> KEPT | 20"
KNOWN = ("--memscope-known=known.txt", "--memscope-rounds=3")
UPDATE = (*KNOWN, "--memscope-known-update")


def known(inner: Inner) -> list[str]:
    return (inner.folder / "known.txt").read_text().splitlines()


def test_update_makes_the_file_and_the_leak_passes_then(inner: Inner) -> None:
    result = inner.judge(SOURCE, *UPDATE)
    result.stdout.fnmatch_lines(["*known.txt made, with 1 known leak"])
    assert known(inner) == [HEAD, LINE]
    result = inner.run("--memscope", *KNOWN)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=2)
    assert inner.verdicts == {"test_leak": "known", "test_other": "clean"}
    assert inner.tests["test_leak"]["known"][0]["count"] == 60
    result.stdout.fnmatch_lines(["2 tests looked at, 0 leak, 1 leak as known, *"])


def test_a_leak_that_got_bigger_fails_and_a_smaller_one_passes(inner: Inner) -> None:
    inner.write(f"# a remark\n\n{LINE}\n", "known.txt")
    result = inner.judge(SOURCE.replace("20", "21"), *KNOWN)
    result.assert_outcomes(passed=1, failed=1)
    assert inner.data["stale"] == []
    result = inner.judge(SOURCE.replace("20", "10"), *KNOWN)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK


def test_a_stale_line_fails_the_run_until_it_is_dropped(inner: Inner) -> None:
    lines = ["# a remark", LINE, LINE.replace("test_leak", "test_not_run")]
    inner.write("\n".join(lines), "known.txt")
    source = SOURCE.replace("20", "0")
    result = inner.judge(source, *KNOWN)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert inner.data["stale"] == [LINE]
    result.stdout.fnmatch_lines(
        [
            f"No leak any more, and still among the known ones: {LINE}",
            "    Drop the lines, or let --memscope-known-update do it.",
        ]
    )
    assert inner.run("--memscope", *KNOWN, "--memscope-mode=report").ret == pytest.ExitCode.OK
    # A test that did not run says nothing of its line.
    assert inner.run("--memscope", *KNOWN, "-k", "test_other").ret == pytest.ExitCode.OK
    result = inner.run("--memscope", *UPDATE)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["1 line dropped from *known.txt"])
    assert known(inner) == [lines[0], lines[2]]


def test_update_adds_nothing_to_a_file_that_is_there(inner: Inner) -> None:
    inner.write(f"{LINE}\n", "known.txt")
    source = SOURCE.replace("OTHER = 20, 0", "OTHER = 20, 30")
    result = inner.judge(source, *UPDATE)
    result.assert_outcomes(passed=1, failed=1)
    assert known(inner) == [LINE]
    # Nor to one that is empty, or has remarks only.
    for text in ("", "# nothing\n"):
        inner.write(text, "known.txt")
        inner.judge(source, *UPDATE).assert_outcomes(failed=2)
        assert (inner.folder / "known.txt").read_text() == text


def test_the_file_is_found_beside_the_ini_file(inner: Inner) -> None:
    inner.write("[pytest]\nmemscope_known = known.txt\n", "pytest.ini")
    inner.write(f"{LINE}\n", "known.txt")
    inner.judge(SOURCE, "--memscope-rounds=3").assert_outcomes(passed=2)


def test_a_test_that_asks_may_have_a_known_leak(inner: Inner) -> None:
    inner.write(f"{LINE}\n", "known.txt")
    inner.write(SOURCE.replace("test_leak()", "test_leak(no_leaks)"))
    inner.run(*KNOWN).assert_outcomes(passed=2)
    assert inner.verdicts == {"test_leak": "known"}


def test_ids_with_the_separator_are_known_too(inner: Inner) -> None:
    source = SOURCE.replace(
        "def test_leak():",
        'import pytest\n\n@pytest.mark.parametrize("text", ["a | b", "a\\nb"])\n'
        "def test_leak(text):",
    )
    inner.judge(source, *UPDATE)
    assert len(known(inner)) == 3
    inner.run("--memscope", *KNOWN).assert_outcomes(passed=3)


@pytest.mark.parametrize(
    "line",
    [
        "test_leak",
        LINE.replace(" | 20", ""),
        LINE.replace("20", "many"),
        LINE.replace("20", "-1"),
        LINE.replace("20", "\N{SUPERSCRIPT TWO}"),
        f"{LINE} | 1",
    ],
)
def test_a_malformed_line_is_one_sentence(inner: Inner, line: str) -> None:
    inner.write(f"# fine\n{LINE}\n{line}\n", "known.txt")
    result = inner.judge(SOURCE, *KNOWN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *known.txt:3: a known leak is 'test | class | held by | objects per run', not *"]
    )
    for output in (result.stderr, result.stdout):
        output.no_fnmatch_line("*Traceback*")


def test_a_file_that_is_no_text_is_one_sentence(inner: Inner) -> None:
    (inner.folder / "known.txt").write_bytes(b"\xff\xfe")
    result = inner.judge(SOURCE, *KNOWN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *known.txt: *"])
