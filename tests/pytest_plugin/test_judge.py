"""Which tests fail, which do not, and what is said of those that cannot be judged by repetition."""

from __future__ import annotations

import json
import textwrap

import pytest

from tests.pytest_plugin.conftest import Inner

HEAD = """
import functools, gc, threading
import pytest

class Session:
    pass

KEPT = []

def leak(number=20):
    KEPT.extend(Session() for _ in range(number))
"""


def code(source: str) -> str:
    return HEAD + textwrap.dedent(source)


# -- leaks, and what looks like one


def test_a_leak_fails_its_test_and_no_other(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            def test_clean():
                [Session() for _ in range(100)]

            def test_leak():
                leak()

            def test_clean_after_it():
                [Session() for _ in range(100)]
            """
        ),
        "--junitxml=junit.xml",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_inner.py::test_leak - leaks +20 Session in each *"])
    assert inner.verdicts == {
        "test_clean": "clean",
        "test_leak": "leaks",
        "test_clean_after_it": "clean",
    }


def test_a_cache_that_fills_is_no_leak_and_a_leak_now_and_then_is_one(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            CACHE = {}
            numbers = iter(range(10**9))
            runs, more_runs = iter(range(10**9)), iter(range(10**9))

            def test_fixed_keys(no_leaks):
                for number in range(100):
                    CACHE[number] = Session()

            @functools.lru_cache(maxsize=128)
            def cached(number):
                return Session()

            def test_bounded(no_leaks):
                for _ in range(50):
                    cached(next(numbers))

            def test_bounded_unasked():
                for _ in range(50):
                    cached(next(numbers))

            def test_every_second_run(no_leaks):
                if next(runs) % 2 == 0:
                    leak()

            def test_every_second_run_unasked():
                if next(more_runs) % 2 == 0:
                    leak()
            """
        )
    )
    assert inner.verdicts == {
        "test_fixed_keys": "clean",
        "test_bounded": "clean",
        "test_bounded_unasked": "clean",
        "test_every_second_run": "leaks",
        "test_every_second_run_unasked": "leaks",
    }
    result.assert_outcomes(passed=3, failed=2)


def test_garbage_that_the_collector_frees_is_no_leak(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            def test_cycles():
                for _ in range(50):
                    one = Session()
                    one.me = one

            def test_cycles_asked(no_leaks):
                for _ in range(50):
                    one = Session()
                    one.me = one
            """
        )
    )
    result.assert_outcomes(passed=2)
    assert set(inner.verdicts.values()) == {"clean"}


def test_clean_tests_teach_nothing_that_hides_a_leak(inner: Inner) -> None:
    """Those before it left much, once: its own is less, and comes again."""
    result = inner.judge(
        code(
            """
            CACHE = {}

            @pytest.mark.parametrize("number", range(6))
            def test_fills(number):
                CACHE.setdefault(number, [Session() for _ in range(200)])

            def test_leak():
                leak()
            """
        )
    )
    result.assert_outcomes(passed=6, failed=1)
    assert inner.verdicts["test_leak"] == "leaks"


# -- modes and settings


@pytest.mark.parametrize(
    ("mode", "outcomes"),
    [
        ("fail", {"failed": 1, "passed": 1}),
        ("warn", {"passed": 2, "warnings": 1}),
        ("report", {"passed": 2}),
    ],
)
def test_modes(inner: Inner, mode: str, outcomes: dict[str, int]) -> None:
    source = code(
        """
        def test_leak():
            leak()

        def test_clean():
            pass
        """
    )
    result = inner.judge(source, f"--memscope-mode={mode}", "-p", "no:asyncio")
    result.assert_outcomes(**outcomes)
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if mode == "fail" else pytest.ExitCode.OK)
    assert inner.verdicts["test_leak"] == "leaks"
    assert inner.tests["test_leak"]["fails"] is (mode == "fail")
    result.stdout.fnmatch_lines(["*= memory (memscope) =*", "test_inner.py::test_leak"])
    if mode == "warn":
        result.stdout.fnmatch_lines(
            ["*MemscopeWarning: test_inner.py::test_leak leaks: 100 Session, *"]
        )


def test_warnings_as_errors_fail_the_test_in_warn_mode(inner: Inner) -> None:
    source = code(
        """
        def test_leak():
            leak()
        """
    )
    result = inner.judge(
        source, "--memscope-mode=warn", "-W", "error::memscope.pytest_plugin.MemscopeWarning"
    )
    result.assert_outcomes(failed=1)


def test_a_test_that_asks_fails_in_every_mode(inner: Inner) -> None:
    source = code(
        """
        def test_leak(no_leaks):
            leak()
        """
    )
    inner.write(source)
    inner.run("--memscope-mode=report").assert_outcomes(failed=1)


INI = {
    "pytest.ini": """
        [pytest]
        memscope = true
        memscope_mode = report
        memscope_rounds = 3
        memscope_top = 1
        memscope_ignore =
            *Ignored
            */nowhere.py
        """,
    "pyproject.toml": """
        [tool.pytest.ini_options]
        memscope = true
        memscope_mode = "report"
        memscope_rounds = "3"
        memscope_top = "1"
        memscope_ignore = ["*Ignored", "*/nowhere.py"]
        """,
    "native pyproject.toml": """
        [tool.pytest]
        memscope = true
        memscope_mode = "report"
        memscope_rounds = 3
        memscope_top = 1
        memscope_ignore = ["*Ignored", "*/nowhere.py"]
        """,
}


@pytest.mark.parametrize("file", INI)
def test_settings_from_a_file(inner: Inner, file: str) -> None:
    if file.startswith("native") and pytest.version_tuple < (9,):
        pytest.skip("pytest before 9 has no [tool.pytest]")
    inner.write(textwrap.dedent(INI[file]), file.rpartition(" ")[2])
    inner.write(
        code(
            """
            class Ignored:
                pass

            def test_ignored():
                KEPT.extend(Ignored() for _ in range(50))

            def test_leak():
                leak()

            def test_leak_too():
                leak(10)
            """
        )
    )
    result = inner.run()
    result.assert_outcomes(passed=3)
    assert inner.verdicts == {
        "test_ignored": "clean",
        "test_leak": "leaks",
        "test_leak_too": "leaks",
    }
    assert inner.tests["test_leak"]["rounds"] == 3
    result.stdout.fnmatch_lines(["test_inner.py::test_leak", "... 1 more tests that leak"])
    assert inner.data["mode"] == "report"
    # What is said on the command line is stronger.
    inner.run("--memscope-mode=fail", "--memscope-rounds=4").assert_outcomes(passed=1, failed=2)
    assert inner.tests["test_leak"]["rounds"] == 4


# -- tests that ask


def test_tests_that_ask_are_judged_and_no_others(inner: Inner) -> None:
    inner.write(
        code(
            """
            def test_not_asked():
                leak()

            def test_fixture(no_leaks):
                leak()

            @pytest.mark.usefixtures("no_leaks")
            class TestMarked:
                def test_leak(self):
                    leak()

                def test_clean(self):
                    pass

            @pytest.mark.memscope_leaks
            def test_marker():
                leak()
            """
        )
    )
    result = inner.run()
    result.assert_outcomes(passed=2, failed=3)
    assert inner.verdicts == {
        "test_fixture": "leaks",
        "TestMarked::test_leak": "leaks",
        "TestMarked::test_clean": "clean",
        "test_marker": "leaks",
    }


def test_what_a_marker_allows(inner: Inner) -> None:
    inner.write(
        code(
            """
            class Other:
                pass

            leaks = pytest.mark.memscope_leaks

            @leaks(max_objects=20)
            def test_objects_allowed():
                leak()

            @leaks(max_objects=19)
            def test_objects_exceeded():
                leak()

            @leaks(max_bytes="64 KiB")
            def test_bytes_allowed():
                leak()

            @leaks(max_bytes=100)
            def test_bytes_exceeded():
                leak()

            @leaks(types=Other)
            def test_types_other():
                leak()

            @leaks(types=["Nothing", "Session"])
            def test_types_this():
                leak()

            @leaks(ignore="*Session")
            def test_ignored():
                leak()

            @leaks(ignore=["*Other", "*/nowhere.py"])
            def test_ignored_other():
                leak()

            @leaks(ignore="*test_inner.py")
            def test_ignored_file():
                leak()

            @leaks(ignore="module test_inner -> KEPT*")
            def test_ignored_holder():
                leak()

            @leaks(rounds=9)
            def test_rounds_clean():
                pass

            @leaks(rounds=3)
            def test_rounds():
                leak()
            """
        )
    )
    inner.run()
    assert inner.verdicts == {
        "test_objects_allowed": "clean",
        "test_objects_exceeded": "leaks",
        "test_bytes_allowed": "clean",
        "test_bytes_exceeded": "leaks",
        "test_types_other": "clean",
        "test_types_this": "leaks",
        "test_ignored": "clean",
        "test_ignored_other": "leaks",
        "test_ignored_file": "clean",
        "test_ignored_holder": "clean",
        "test_rounds_clean": "clean",
        "test_rounds": "leaks",
    }
    assert 4 <= inner.tests["test_rounds_clean"]["rounds"] <= 9
    assert inner.tests["test_rounds"]["leaks"][0]["per_round"] == [20, 20, 20]


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("memscope_leaks(max_object=1)", "memscope_leaks has no argument 'max_object'; it has *"),
        ("memscope_leaks(5)", "memscope_leaks takes only arguments with names: max_objects=10"),
        ("memscope_leaks(rounds=-1)", "rounds must be a number of 0 or more, not -1"),
        ("memscope_leaks(max_objects='2')", "max_objects must be a number of objects, not '2'"),
        ("memscope_leaks(max_bytes='2 QB')", "a size is a number and B, KB, *, not '2 QB'"),
        ("memscope_leaks(types=3)", "types are classes or their names, *"),
        ("memscope_leaks(types=[3])", "types are classes or their names, not 3"),
        ("memscope_leaks(ignore=3)", "ignore *"),
        ("memscope_leaks(ignore=[3])", "ignore *"),
        ("memscope_limit", 'memscope_limit takes one size: memscope_limit("24 MB")'),
        ("memscope_limit('1 MB', '2 MB')", "memscope_limit takes one size: *"),
        ("memscope_limit(size='1 MB')", "memscope_limit takes one size: *"),
        ("memscope_limit(-1)", "a size must be 0 or more bytes, not -1"),
        ("memscope_limit(1.5)", "a size is a number of bytes or a text like '24 MB', not 1.5"),
    ],
)
def test_wrong_marks_are_one_sentence(inner: Inner, mark: str, said: str) -> None:
    inner.write(f"import pytest\n\n@pytest.mark.{mark}\ndef test_it():\n    pass\n")
    result = inner.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: test_inner.py::test_it: {said}"])
    for output in (result.stderr, result.stdout):
        output.no_fnmatch_line("*Traceback*")
        output.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize(
    ("arguments", "ini", "said"),
    [
        (["--memscope-rounds=0"], "", "*memscope_rounds must be a number of 1 or more, not 0"),
        (["--memscope-top=-1"], "", "*memscope_top must be a number of 0 or more, not -1"),
        (["--memscope-most=-1"], "", "*memscope_most must be a number of 0 or more, not -1"),
        (["--memscope-slow=-1"], "", "*memscope_slow must be *"),
        ([], "memscope_slow = long", "*memscope_slow*long*"),
        (["--memscope-mode=loud"], "", "*--memscope-mode: invalid choice: 'loud'*"),
        (["--memscope-known-update"], "", "*--memscope-known-update needs --memscope-known=FILE"),
        ([], "memscope_mode = loud", "*memscope_mode must be fail, warn or report, not 'loud'"),
        ([], "memscope_rounds = many", "*memscope_rounds*many*"),
        ([], "memscope_rounds = 0", "*memscope_rounds must be a number of 1 or more, not *0*"),
    ],
)
def test_wrong_settings_are_one_sentence(
    inner: Inner, arguments: list[str], ini: str, said: str
) -> None:
    inner.write(f"[pytest]\n{ini}\n", "pytest.ini")
    inner.patience = ()
    result = inner.judge("def test_it():\n    pass\n", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
    for output in (result.stderr, result.stdout):
        output.no_fnmatch_line("*Traceback*")
        output.no_fnmatch_line("*INTERNALERROR*")


# -- what is not judged


def test_only_passed_tests_are_judged(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            @pytest.fixture
            def broken():
                raise ValueError("no such thing")

            def test_fails():
                leak()
                assert False, "as it must"

            def test_skips():
                leak()
                pytest.skip("not here")

            @pytest.mark.skip(reason="never")
            def test_skipped():
                pass

            @pytest.mark.xfail
            def test_xfails():
                leak()
                assert False

            @pytest.mark.xfail
            def test_xpasses():
                leak()

            @pytest.mark.xfail(strict=True)
            def test_xpasses_strict():
                leak()

            def test_broken(broken):
                pass
            """
        )
    )
    result.assert_outcomes(failed=2, skipped=2, xfailed=1, xpassed=1, errors=1)
    result.stdout.fnmatch_lines(["*AssertionError: as it must*"])
    assert "leaks" not in inner.verdicts.values()
    judged = {one["runs"] for one in inner.tests.values()}
    assert judged == {1}


def test_what_fixtures_hold_does_not_count(inner: Inner) -> None:
    source = code(
        """
        import logging, sys

        @pytest.fixture
        def held():
            yield [Session() for _ in range(50)]

        @pytest.fixture
        def returned():
            return [Session() for _ in range(50)]

        @pytest.fixture(scope="session")
        def shared():
            return [Session() for _ in range(50)]

        @pytest.fixture(scope="module")
        def scratch(tmp_path_factory):
            return tmp_path_factory.mktemp("scratch")

        def test_function(held, returned, request):
            request.node.mine = held
            assert held and returned

        def test_session(shared):
            assert shared

        def test_tmp_path(tmp_path, scratch):
            (tmp_path / "it").write_text("x" * 5000)

        def test_monkeypatch(monkeypatch):
            for number in range(50):
                monkeypatch.setenv(f"NAME_{number}", "x" * 100)
                monkeypatch.setattr(sys, f"name_{number}", Session(), raising=False)

        def test_caplog(caplog):
            with caplog.at_level("DEBUG"):
                for number in range(200):
                    logging.getLogger("inner").info("number %s", number, extra={"it": Session()})
            assert len(caplog.records) == 200

        def test_capsys(capsys):
            for number in range(2000):
                print("line", number)
            assert len(capsys.readouterr().out) > 10000

        def test_printed():
            for number in range(2000):
                print("line", number)

        def test_recwarn(recwarn):
            import warnings
            for number in range(50):
                warnings.warn(f"number {number}")
            assert len(recwarn) == 50

        def test_properties(record_property):
            record_property("name", "value" * 100)
        """
    )
    names = (
        *("test_function", "test_session", "test_tmp_path", "test_monkeypatch", "test_caplog"),
        *("test_capsys", "test_printed", "test_recwarn", "test_properties"),
    )
    result = inner.judge(source)
    result.assert_outcomes(passed=len(names))
    assert inner.verdicts == dict.fromkeys(names, "clean")
    inner.write(source.replace("def test_", "@pytest.mark.memscope_leaks(rounds=3)\ndef test_"))
    inner.run().assert_outcomes(passed=len(names))
    assert inner.verdicts == dict.fromkeys(names, "clean")


WIDER = """
class App:
    def __init__(self):
        self.cache = {}
        self.seen = []

@pytest.fixture(scope="session")
def app():
    return App()

@pytest.fixture(scope="module")
def items():
    yield []

class TestIt:
    @pytest.fixture(scope="class")
    def store(self):
        return {"all": []}

    def test_of_class(self, store):
        store["all"].extend(Session() for _ in range(20))

def test_object(app):
    app.cache[len(app.cache)] = [Session() for _ in range(20)]

def test_list(items):
    items.extend(Session() for _ in range(20))

ONE = Session()

def test_what_was_there(app):
    app.seen.append(ONE)

def test_uses_it(app, items):
    assert app.cache is not None
"""


@pytest.mark.parametrize("ways", ["all are judged", "they ask"])
def test_what_fixtures_of_wider_scope_keep(inner: Inner, ways: str) -> None:
    source = code(WIDER)
    if ways == "they ask":
        source = source.replace("import pytest", "import pytest\npytestmark = MARK", 1)
        source = source.replace("MARK", "pytest.mark.memscope_leaks", 1)
    inner.write(source)
    judged = ["--memscope"] if ways == "all are judged" else []

    def held(name: str) -> dict[str, list[str]]:
        return {test: [leak["holder"] for leak in one[name]] for test, one in inner.tests.items()}

    expected = {
        "TestIt::test_of_class": ["fixture store (class) -> ['all']"],
        "test_object": ["fixture app (session) -> .cache"],
        "test_list": ["fixture items (module)"],
        # What allocates nothing is not noticed where nobody asks.
        "test_what_was_there": [] if judged else ["fixture app (session) -> .seen"],
        "test_uses_it": [],
    }
    result = inner.run(*judged)
    assert result.ret == 0
    assert set(inner.verdicts.values()) == {"clean"}
    assert held("in_fixtures") == expected
    result.stdout.fnmatch_lines(
        [
            "Kept by fixtures, which do not count (--memscope-fixtures):",
            "    test_inner.py::TestIt::test_of_class",
            "        100 Session, +* KiB, allocated at *, held by fixture store (class) *",
        ]
    )
    result = inner.run(*judged, "--memscope-fixtures")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert held("leaks") == expected
    assert not any(held("in_fixtures").values())
    assert "which do not count" not in result.stdout.str()
    again = (
        "pytest test_inner.py::test_object --memscope --memscope-fixtures --memscope-save=leaks; *"
    )
    result.stdout.fnmatch_lines([f"   dig further          {again}"])
    path = inner.tests["test_object"]["leaks"][0]["path"]
    assert path["text"].startswith("fixture app (session) -> .cache -> [")
    assert path["steps"][0]["type_name"] == "test_inner.App"
    # By a pattern they are silent.
    inner.write("[pytest]\nmemscope_fixtures = true\nmemscope_ignore = fixture *\n", "pytest.ini")
    assert inner.run(*judged).ret == 0
    inner.write("[pytest]\nmemscope_ignore = fixture *\n", "pytest.ini")
    assert "which do not count" not in inner.run(*judged).stdout.str()


def test_output_of_repetitions_is_not_shown(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            import logging, warnings

            def test_leak():
                print("printed")
                logging.getLogger("inner").warning("logged")
                warnings.warn("warned")
                leak()
            """
        ),
        *("-p", "no:asyncio"),
    )
    result.assert_outcomes(failed=1, warnings=1)
    text = result.stdout.str()
    assert text.count("\nprinted\n") == 1
    assert text.count("logged\n") == 1


@pytest.mark.parametrize("capture", ["fd", "sys", "tee-sys", "no"])
def test_output_of_the_system_is_not_shown_either(inner: Inner, capture: str) -> None:
    text = inner.judge(
        code(
            """
            import os, subprocess, sys

            def test_leak():
                os.write(1, b"by its number\\n")
                subprocess.run([sys.executable, "-c", "print('by a child')"])
                sys.stdout.write("by Python\\n")
                leak()
            """
        ),
        f"--capture={capture}",
    ).stdout.str()
    assert inner.verdicts == {"test_leak": "leaks"}
    runs = inner.tests["test_leak"]["runs"]
    assert text.count("by Python\n") == {"tee-sys": runs + 1, "no": runs}.get(capture, 1)
    # By these nothing is captured that does not come from Python.
    assert text.count("by its number\n") == (1 if capture == "fd" else runs)
    assert text.count("by a child\n") == (1 if capture == "fd" else runs)


# -- what is traced


@pytest.mark.parametrize("arguments", [(), ("--memscope",)])
def test_what_is_not_the_tests_is_not_traced(inner: Inner, arguments: tuple[str, ...]) -> None:
    inner.write(
        """
import json
from memscope import _memscope

SEEN = {}

def see(moment):
    live = _memscope.get_traced_memory()[0]
    kept = bytearray(70_000)
    SEEN.setdefault(moment, []).append(_memscope.get_traced_memory()[0] - live > 60_000)

def pytest_runtest_logstart():
    see("logstart")

def pytest_runtest_makereport():
    see("makereport")

def pytest_runtest_logreport():
    see("logreport")

def pytest_sessionfinish():
    see("finish")

def pytest_unconfigure():
    with open("seen.json", "w") as file:
        json.dump(SEEN, file)
""",
        "conftest.py",
    )
    inner.write(
        """
import pytest
from conftest import see

@pytest.fixture
def fixture():
    see("setup")
    yield
    see("teardown")

def test_one(no_leaks, fixture):
    see("call")

def test_two(no_leaks, fixture):
    see("call")
"""
    )
    inner.run(*arguments)
    seen = json.loads((inner.folder / "seen.json").read_text())
    assert {moment: set(traced) for moment, traced in seen.items()} == {
        "logstart": {False},
        "setup": {True},
        "call": {True},
        "teardown": {True},
        "makereport": {False},
        "logreport": {False},
        "finish": {False},
    }


# -- fixtures are set up and torn down as pytest promises


def test_fixtures_end_as_often_as_they_begin(inner: Inner) -> None:
    source = code(
        """
        import pathlib

        LOG = pathlib.Path("log")

        def say(what):
            with LOG.open("a") as file:
                print(what, file=file)

        def fixture(scope):
            @pytest.fixture(scope=scope, name=f"of_{scope}")
            def it():
                say(f"{scope} begins")
                yield object()
                say(f"{scope} ends")
            return it

        ONE, TWO, THREE = map(fixture, ["function", "module", "session"])

        class TestIt:
            @pytest.fixture(scope="class", autouse=True)
            def of_class(self):
                say("class begins")
                yield
                say("class ends")

            @pytest.fixture
            def finalized(self, request):
                say("finalized begins")
                request.addfinalizer(lambda: say("finalized ends"))

            def setup_method(self):
                say("method begins")

            def teardown_method(self):
                say("method ends")

            @classmethod
            def setup_class(cls):
                say("setup_class begins")

            @classmethod
            def teardown_class(cls):
                say("setup_class ends")

            def test_first(self, of_function, of_module, of_session, finalized):
                say("body")
                leak()

            def test_last(self, of_function, of_module, of_session, finalized):
                say("body")
                leak()

        def setup_module():
            say("setup_module begins")

        def teardown_module():
            say("setup_module ends")
        """
    )
    result = inner.judge(source, "--memscope-mode=report")
    result.assert_outcomes(passed=2)
    runs = sum(one["runs"] for one in inner.tests.values())
    assert runs > 10
    log = (inner.folder / "log").read_text().splitlines()
    counts = {line: log.count(line) for line in log}
    once = ("class", "module", "session", "setup_class", "setup_module")
    often = ("function", "finalized", "method")
    expected = {f"{name} {what}": 1 for name in once for what in ("begins", "ends")}
    expected |= {f"{name} {what}": runs for name in often for what in ("begins", "ends")}
    assert counts == expected | {"body": runs}
    # What is wider ends after the last run of the last test.
    assert log.index("class ends") > max(i for i, line in enumerate(log) if line == "body")
    assert log[-1] == "session ends"


# -- tests that cannot be repeated, or only at a price


def test_one_round_is_said(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            def test_once():
                open("fixed", "x").close()
                leak(200)

            def test_once_asked(no_leaks):
                open("fixed too", "x").close()
                leak()

            def test_once_asked_clean(no_leaks):
                open("fixed as well", "x").close()

            @pytest.mark.memscope_leaks(rounds=1)
            def test_asks_for_one():
                leak()
            """
        )
    )
    result.assert_outcomes(passed=2, failed=2)
    assert inner.verdicts == {
        "test_once": "not judged",
        "test_once_asked": "leaks",
        "test_once_asked_clean": "clean",
        "test_asks_for_one": "leaks",
    }
    why = "judged on one round, because it could not be repeated (FileExistsError: *'fixed*'*)"
    result.stdout.fnmatch_lines(
        [
            "*test_once_asked leaks +20 Session in one run: *",
            f"*note * {why}",
            "*note * judged on one round, because it asks for one",
            "*= memory (memscope) =*",
            "Not judged by repetition:",
            f"    test_inner.py::test_once: {why}",
            "        200 Session, *",
        ]
    )
    assert inner.tests["test_once_asked_clean"]["notes"]


def test_slow_tests_are_repeated_only_if_they_ask(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            import time

            def test_slow():
                time.sleep(0.3)
                leak(200)

            @pytest.mark.memscope_leaks(rounds=3)
            def test_slow_asked():
                time.sleep(0.3)
                leak()
            """
        ),
        "--memscope-slow=0.2",
    )
    result.assert_outcomes(passed=1, failed=1)
    assert inner.verdicts == {"test_slow": "not judged", "test_slow_asked": "leaks"}
    assert inner.tests["test_slow"]["runs"] == 1
    assert inner.tests["test_slow_asked"]["rounds"] == 3
    result.stdout.fnmatch_lines(
        ["    test_inner.py::test_slow: judged on one round, because it took 0.? s"]
    )


def test_repetitions_end_when_many_tests_leak(inner: Inner) -> None:
    source = code(
        """
        @pytest.mark.parametrize("number", range(4))
        def test_leak(number):
            leak(200)

        def test_asked(no_leaks):
            leak()
        """
    )
    result = inner.judge(source, "--memscope-most=2")
    result.assert_outcomes(passed=2, failed=3)
    assert inner.verdicts == {
        "test_leak[0]": "leaks",
        "test_leak[1]": "leaks",
        "test_leak[2]": "not judged",
        "test_leak[3]": "not judged",
        "test_asked": "leaks",
    }
    assert inner.tests["test_leak[2]"]["runs"] == 1
    result.stdout.fnmatch_lines(["*test_leak[[]2[]]: 2 tests leak already (--memscope-most)"])
    inner.run("--memscope", "--memscope-most=0").assert_outcomes(failed=5)


def test_repetitions_do_not_run_into_a_timeout(inner: Inner) -> None:
    pytest.importorskip("pytest_timeout")
    inner.with_all_plugins()
    result = inner.judge(
        code(
            """
            import time

            @pytest.mark.timeout(6)
            def test_it():
                time.sleep(0.6)
                leak(200)
            """
        ),
        "--memscope-slow=100",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*because its timeout of 6 s is too short for repetitions"])


# -- threads, files, tasks


def test_leftovers_are_named(inner: Inner) -> None:
    inner.write(
        code(
            """
            import asyncio, socket

            @pytest.fixture(scope="module", autouse=True)
            def end():
                yield
                STOP.set()
                for file in FILES:
                    file.close()
                LOOP.close()

            STOP = threading.Event()
            FILES = []
            LOOP = asyncio.new_event_loop()
            TASKS = []

            def test_thread(no_leaks):
                threading.Thread(target=STOP.wait, name="poller").start()

            def test_file(no_leaks):
                FILES.append(open("kept.txt", "w"))

            def test_socket(no_leaks):
                found = socket.socket()
                found.bind(("127.0.0.1", 0))
                FILES.append(found)

            def test_task(no_leaks):
                async def work():
                    async def wait():
                        await asyncio.Event().wait()
                    TASKS.append(asyncio.create_task(wait(), name="poll"))
                    await asyncio.sleep(0)
                LOOP.run_until_complete(work())

            def test_thread_that_ends(no_leaks):
                thread = threading.Thread(target=int)
                thread.start()
                thread.join()

            def test_files_that_are_closed(no_leaks):
                with open("closed.txt", "w"):
                    pass
            """
        )
    )
    result = inner.run()
    result.assert_outcomes(passed=2, failed=4)
    assert inner.verdicts == {
        "test_thread": "leaks",
        "test_file": "leaks",
        "test_socket": "leaks",
        "test_task": "leaks",
        "test_thread_that_ends": "clean",
        "test_files_that_are_closed": "clean",
    }
    result.stdout.fnmatch_lines(
        [
            "   thread 'poller' still runs",
            "   file */kept.txt is still open",
            "   socket 127.0.0.1:* is still open",
            "   task 'poll' is pending",
        ]
    )


# -- teardown, and the tracer


def test_a_teardown_error_stays_an_error(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            @pytest.fixture
            def breaks():
                yield
                raise ValueError("at the end")

            @pytest.fixture
            def breaks_too():
                yield
                raise ValueError("at the end too")

            def test_it(breaks):
                leak()

            def test_both(breaks, breaks_too):
                leak()

            def test_after():
                pass
            """
        )
    )
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["E*ValueError: at the end"])


def test_tests_that_trace_themselves(inner: Inner) -> None:
    result = inner.judge(
        code(
            """
            import memscope, tracemalloc

            def test_first():
                pass

            def test_memscope():
                memscope.start()
                memscope.take_snapshot()
                memscope.stop()

            def test_leak_after_it():
                leak()

            def test_tracemalloc():
                tracemalloc.start()
                assert tracemalloc.take_snapshot().traces is not None
                tracemalloc.stop()

            def test_watch():
                report = memscope.diagnose(lambda: leak(5), rounds=3)
                assert report.leaks
                KEPT.clear()

            def test_leak_at_the_end():
                leak()
            """
        ),
        "--memscope-mode=report",
    )
    result.assert_outcomes(passed=6)
    assert inner.verdicts["test_memscope"] == "not judged"
    assert inner.tests["test_memscope"]["notes"] == ["the test ended the tracing of memory"]
    assert inner.verdicts["test_leak_after_it"] == "leaks"
    assert inner.verdicts["test_leak_at_the_end"] == "leaks"
    result.stdout.fnmatch_lines(
        ["    test_inner.py::test_memscope: the test ended the tracing of memory"]
    )


def test_left_alone(inner: Inner) -> None:
    """No rounds: it runs once, whatever it leaves."""
    source = (
        HEAD
        + """
RUNS = []

@pytest.mark.memscope_leaks(rounds=0)
def test_once():
    leak()
    RUNS.append(1)

def test_counts_on_it():
    assert len(RUNS) == 1
"""
    )
    inner.judge(source).assert_outcomes(passed=2)
    assert inner.verdicts["test_once"] == "not judged"
    assert inner.tests["test_once"]["runs"] == 1


def test_who_traces_all_sees_what_comes_after_a_test_that_asked(inner: Inner) -> None:
    conftest = """
    import memscope

    KEPT = []
    memscope.start()

    def pytest_runtest_logfinish(nodeid):
        before = memscope.get_traced_memory()[0]
        KEPT.append(bytearray(100_000))
        print("TRACED", nodeid, memscope.get_traced_memory()[0] - before >= 100_000)
    """
    inner.write(textwrap.dedent(conftest), "conftest.py")
    inner.write("def test_asks(no_leaks): pass\ndef test_does_not(): pass")
    result = inner.run("-s")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*TRACED*::test_does_not True*"])


def test_a_runner_that_cannot_be_traced_alone(inner: Inner) -> None:
    """As of a pluggy that does not let its hooks be changed: all is traced then."""
    conftest = """
    from memscope.pytest_plugin.judge import Judge

    class Unchangeable:
        plugin_name = "runner"
        function = property()

    class Hook:
        def get_hookimpls(self):
            return [Unchangeable()]

    trace_runner = Judge._trace_runner
    Judge._trace_runner = lambda self, hook: trace_runner(self, Hook())
    """
    inner.write(textwrap.dedent(conftest), "conftest.py")
    inner.write(
        textwrap.dedent(
            """
            KEPT = []

            def test_leak(no_leaks):
                KEPT.append(object())

            def test_clean(no_leaks):
                assert KEPT
            """
        )
    )
    inner.run()
    assert inner.verdicts == {"test_leak": "leaks", "test_clean": "clean"}
