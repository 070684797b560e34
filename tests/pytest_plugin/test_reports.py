"""What is printed and written: failures, summary, JUnit, JSON, GitHub."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET

import pytest

from memscope.pytest_plugin.outcome import SCHEMA, Outcome
from tests.conftest import ROOT
from tests.pytest_plugin.conftest import Inner

LEAK = textwrap.dedent(
    """
    class Session:
        pass

    KEPT = []

    def test_leak():
        KEPT.extend(Session() for _ in range(20))

    def test_clean():
        pass
    """
)


def masked(text: str) -> str:
    """Without what the clock says."""
    return re.sub(r"\d+\.\d+ ?s\b", "TIME", text)


def section(text: str, title: str) -> list[str]:
    """The lines under a title of pytest's, up to the next one."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if re.fullmatch(rf"[=_]+ {title} [=_]+", line))
    end = next(i for i in range(start + 1, len(lines)) if re.match(r"[=_]+ .+ [=_]+$", lines[i]))
    return lines[start + 1 : end]


def test_the_text_of_a_failure(inner: Inner) -> None:
    command = (
        "pytest test_inner.py::test_leak --memscope --memscope-save=leaks;"
        " memscope report leaks/test_inner.py-test_leak.json"
    )
    result = inner.judge(LEAK)
    text = section(result.stdout.str(), "test_leak")
    assert text[:2] == ["test_leak leaks +20 Session in each of 5 runs: the list only grows.", ""]
    pytest.LineMatcher(text[2:]).fnmatch_lines(
        [
            "   what                 100 test_inner.Session, +?.?? KiB with all they hold",
            "   allocated at         test_inner.py:8 in test_leak.<locals>.<genexpr>",
            "                        KEPT.extend(Session() for _ in range(20))",
            "   held by              module test_inner -> KEPT -> [[]*] -> test_inner.Session",
            "   evidence             module test_inner -> KEPT grew in each of 5 rounds",
            "   what to do           Remove entries when they are done with, or bound it:",
            "                        collections.deque(maxlen=...).",
            f"   dig further          {command}",
        ],
        consecutive=True,
    )
    assert len(text) == 10
    result.stdout.fnmatch_lines(
        ["FAILED test_inner.py::test_leak - leaks +20 Session in each of 5 runs: the li..."]
    )


def test_the_numbers_of_uneven_rounds(inner: Inner) -> None:
    result = inner.judge(
        LEAK.replace("range(20)", "range(next(SIZES))")
        + "\nimport itertools\nSIZES = itertools.cycle([10, 30])\n"
    )
    first = section(result.stdout.str(), "test_leak")[0]
    assert re.match(r"test_leak leaks \+\d+ Session in 5 runs \((10|30)( (10|30)){4}\): ", first)


def test_the_command_digs_further(inner: Inner) -> None:
    result = inner.judge(LEAK)
    said = re.search(r"dig further +pytest (.*); memscope report (.*)\n", result.stdout.str())
    assert said is not None
    inner.run(*shlex.split(said[1])).assert_outcomes(failed=1)
    done = subprocess.run(
        [sys.executable, "-m", "memscope", "report", said[2]],
        cwd=inner.folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        timeout=60,
    )
    assert "100 Session" in done.stdout, done.stderr
    assert "held by module test_inner -> KEPT" in done.stdout


def test_no_code_of_the_user_runs_for_a_report(inner: Inner) -> None:
    result = inner.judge(
        textwrap.dedent(
            """
            CALLS = []

            class Meta(type):
                def __repr__(self):
                    CALLS.append("Meta")
                    raise ValueError("never call this")

            class Session(metaclass=Meta):
                def __repr__(self):
                    CALLS.append("repr")
                    raise ValueError("never call this")
                __str__ = __format__ = __hash__ = __len__ = __bool__ = __repr__
                def __getattr__(self, name):
                    CALLS.append(name)
                    raise ValueError("never call this")
                def __eq__(self, other):
                    CALLS.append("eq")
                    raise ValueError("never call this")

            KEPT = {}

            def test_leak():
                for _ in range(20):
                    KEPT[len(KEPT)] = Session()

            def test_not_called():
                assert CALLS == []
            """
        )
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["test_leak leaks +20 Session in each of 5 runs: *"])


def test_junit_properties(inner: Inner) -> None:
    inner.judge(
        LEAK
        + textwrap.dedent(
            """
            import pytest

            @pytest.mark.memscope_limit("50 MB")
            def test_limit():
                bytearray(1_000_000)
            """
        ),
        "--junitxml=junit.xml",
    )
    cases = {
        str(case.get("name")): case
        for case in ET.parse(inner.folder / "junit.xml").iter("testcase")
    }
    assert set(cases) == {"test_leak", "test_clean", "test_limit"}

    def properties(name: str) -> dict[str, str]:
        found = cases[name].iter("property")
        return {str(one.get("name")): str(one.get("value")) for one in found}

    leaking = properties("test_leak")
    assert leaking.keys() == {"memscope_verdict", "memscope_leak"}
    assert leaking["memscope_verdict"] == "leaks"
    assert leaking["memscope_leak"].startswith("100 Session, +")
    failure = cases["test_leak"].find("failure")
    assert failure is not None
    assert str(failure.get("message")).startswith("leaks +20 Session in each of 5 runs")
    assert "what to do" in str(failure.text)
    assert properties("test_clean") == {}
    assert 1_000_000 <= int(properties("test_limit")["memscope_peak_bytes"]) < 2_000_000


def test_json(inner: Inner) -> None:
    inner.judge(LEAK)
    data = inner.data
    assert data.keys() == {
        *("schema", "mode", "judged", "leaking", "over_limit", "seconds", "tests", "stale"),
    }
    assert data["schema"] == SCHEMA
    assert data["mode"] == "fail"
    assert (data["judged"], data["leaking"], data["over_limit"]) == (2, 1, 0)
    assert data["seconds"] > 0
    assert data["stale"] == []
    assert [one["nodeid"].partition("::")[2] for one in data["tests"]] == [
        "test_clean",
        "test_leak",
    ]
    found = inner.tests["test_leak"]
    assert found.keys() == Outcome("").to_dict().keys()
    assert json.loads(json.dumps(Outcome.from_dict(found).to_dict())) == found
    (leak,) = found["leaks"]
    assert leak["per_round"] == [20] * 5
    assert leak["site"]["lineno"] == 8
    assert found["rounds"] == 5
    assert found["runs"] > 5
    assert found["fails"] is True
    assert found["peak"] > 0


@pytest.mark.parametrize("kind", ["Outcome", "Summary"])
def test_each_field_is_described(inner: Inner, kind: str) -> None:
    if kind == "Outcome":
        fields = set(Outcome("").to_dict())
    else:
        inner.judge("def test_it():\n    pass\n")
        fields = set(inner.data)
    text = (ROOT / "docs" / "pytest-report.md").read_text()
    cells = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    described = set(re.findall(r"`(\w+)`", "".join(cells)))
    assert fields <= described


def test_json_without_any_test_that_is_judged(inner: Inner) -> None:
    inner.write("def test_it():\n    pass\n")
    inner.run().assert_outcomes(passed=1)
    assert inner.data["tests"] == []


def test_github_annotations(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
    source = LEAK.replace("def test_leak():", "@PARAMETERS\ndef test_leak(text):").replace(
        "class Session",
        "import pytest\n"
        'PARAMETERS = pytest.mark.parametrize("text", [1], ids=["50%: a, b"])\n\nclass Session',
    )
    inner.judge(source).stdout.no_fnmatch_line("*::error*")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = inner.judge(source)
    (line,) = [one for one in result.outlines if one.startswith("::")]
    found = re.fullmatch(r"::error file=(.*),line=(\d+),title=(.*?)::(.*)", line)
    assert found is not None
    assert found[1] == "test_inner.py"
    assert source.splitlines()[int(found[2]) - 1].strip().startswith("KEPT.extend")
    assert found[3] == "test_inner.py%3A%3Atest_leak[50%25%3A a%2C b] leaks"
    assert found[4].startswith("100 Session, +")
    result = inner.judge(source, "--memscope-mode=report")
    assert [one[:10] for one in result.outlines if one.startswith("::")] == ["::warning "]


def test_the_plugin_can_be_switched_off(inner: Inner) -> None:
    inner.write(LEAK)
    inner.with_all_plugins()
    result = inner.pytester.runpytest_subprocess("-p", "no:memscope", "-p", "no:randomly")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*memscope)*")


def test_a_run_that_does_not_ask_pays_nothing(inner: Inner) -> None:
    """Nothing of memscope is imported but the package and the plugin's declarations."""
    inner.write(
        textwrap.dedent(
            """
            import sys

            def test_it():
                found = {name for name in sys.modules if name.startswith("memscope")}
                assert "memscope.pytest_plugin.judge" not in found
                assert "memscope.leaks" not in found
                assert "memscope.heap" not in found
            """
        )
    )
    inner.with_all_plugins()
    result = inner.pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*memscope)*")


def test_strict_markers_and_config(inner: Inner) -> None:
    inner.write(
        "[pytest]\nmemscope_mode = report\nmemscope_rounds = 3\nmemscope_top = 2\n"
        "memscope_known = known.txt\nmemscope_ignore = x\nmemscope = false\n",
        "pytest.ini",
    )
    inner.write(
        textwrap.dedent(
            """
            import pytest

            @pytest.mark.memscope_leaks(max_objects=3)
            @pytest.mark.memscope_limit("1 GB")
            def test_it(no_leaks, memscope):
                pass
            """
        )
    )
    inner.run("--strict-markers", "--strict-config").assert_outcomes(passed=1)
    result = inner.pytester.runpytest_subprocess(*inner.arguments, "--markers")
    result.stdout.fnmatch_lines(
        ["@pytest.mark.memscope_leaks(max_objects=None, *", "@pytest.mark.memscope_limit(size): *"]
    )


SUMMARY = textwrap.dedent(
    """
    import pytest

    class Session:
        pass

    KEPT = []

    @pytest.mark.parametrize("number", [30, 10, 20])
    def test_leak(number):
        KEPT.extend(Session() for _ in range(number))

    @pytest.mark.parametrize("size", [3, 5, 4])
    def test_peak(size):
        bytearray(size << 20)
    """
)


def test_summary(inner: Inner) -> None:
    result = inner.judge(
        SUMMARY, "--memscope-mode=report", "--memscope-top=2", "--memscope-rounds=3"
    )
    lines = section(result.stdout.str(), r"memory \(memscope\)")
    pytest.LineMatcher(lines).fnmatch_lines(
        [
            "test_inner.py::test_leak[[]30[]]",
            "    90 Session, +* allocated at test_inner.py:11, held by module test_inner -> KEPT *",
            "test_inner.py::test_leak[[]20[]]",
            "    60 Session, *",
            "... 1 more tests that leak",
            "Biggest peaks:",
            "     5.00 MiB  test_inner.py::test_peak[[]5[]]",
            "     4.00 MiB  test_inner.py::test_peak[[]4[]]",
            "6 tests looked at, 3 leak, * repeated (* runs), *.* s",
        ],
        consecutive=True,
    )
    result = inner.run("--memscope", "--memscope-mode=report", "--memscope-top=0")
    assert "memory (memscope)" not in result.stdout.str()


def test_the_same_run_says_the_same(inner: Inner) -> None:
    first = inner.judge(SUMMARY, "--memscope-mode=fail", "--memscope-rounds=3")
    found = inner.data
    second = inner.run("--memscope", "--memscope-mode=fail", "--memscope-rounds=3")

    def judged(run: pytest.RunResult) -> str:
        lines = run.stdout.str().splitlines()
        start = next(i for i, line in enumerate(lines) if "= FAILURES =" in line)
        text = masked("\n".join(lines[start:]))
        return re.sub(r"=+ (.*) =+", r"\1", text)

    assert judged(first) == judged(second)
    times = re.compile(r'"seconds": [\d.e-]+|"address": \d+|"node": \d+')
    texts = [times.sub("", json.dumps(one["tests"])) for one in (found, inner.data)]
    peaks = re.compile(r'"peak": \d+')
    assert peaks.sub("", texts[0]) == peaks.sub("", texts[1])
