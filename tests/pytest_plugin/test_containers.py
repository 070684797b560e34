"""Whose containers are read: the program's, whoever else has them too, and not pytest's."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from memscope.pytest_plugin.containers import held_by
from tests.pytest_plugin.conftest import Inner

SHARED: list[object] = []
HEAD = """
import pytest

pytestmark = pytest.mark.memscope_leaks
ONE = object()
"""


def is_among(container: object, found: list[object]) -> bool:
    return any(one is container for one in found)


def test_what_a_test_has(request: pytest.FixtureRequest) -> None:
    item: Any = request.node
    item.alone, item.shared, item.nested = [1], SHARED, {"its": [2], "shared": SHARED}
    found = held_by([item])
    assert is_among(vars(item), found)
    assert is_among(item.own_markers, found)
    assert is_among(item.stash._storage, found)
    assert is_among(item._fixtureinfo.name2fixturedefs, found)
    assert is_among(item.alone, found)
    assert is_among(item.nested, found)
    assert is_among(item.nested["its"], found)
    assert not is_among(SHARED, found)
    for mine in (vars(item.parent), vars(item.session), vars(item.obj), vars(item.config)):
        assert not is_among(mine, found)


@pytest.mark.parametrize("value", [[1, 2]])
def test_not_its_parameters(request: pytest.FixtureRequest, value: list[int]) -> None:
    found = held_by([request.node])
    assert not is_among(value, found)
    assert not is_among(request.node.callspec.params, found)


def test_what_a_report_has() -> None:
    report = pytest.TestReport("a", ("a", 1, "a"), {"a": 1}, "passed", None, "call", [], 0.1)
    leaks: list[dict[str, object]] = [{"site": {}}]
    vars(report)["memscope"] = {"leaks": leaks}
    found = held_by([report])
    for mine in (vars(report), report.keywords, report.sections, report.user_properties):
        assert is_among(mine, found)
    assert is_among(vars(report)["memscope"], found)
    # Who keeps it too may put something into it.
    assert not is_among(leaks, found)
    assert len(found) == 5


@pytest.mark.parametrize("mode", ["asked", "asked, and all are judged"])
def test_no_more_with_each_test(inner: Inner, mode: str) -> None:
    inner.write(
        """
        import json
        from memscope.pytest_plugin.judge import Judge

        COUNTS = []

        def pytest_runtest_logfinish():
            for plugin in CONFIG.pluginmanager.get_plugins():
                if isinstance(plugin, Judge):
                    COUNTS.append(len(plugin.containers))

        def pytest_configure(config):
            global CONFIG
            CONFIG = config

        def pytest_unconfigure():
            with open("counts.json", "w") as file:
                json.dump(COUNTS, file)
        """.replace("\n        ", "\n"),
        "conftest.py",
    )
    inner.write(
        HEAD
        + textwrap.dedent(
            """
            @pytest.fixture
            def data():
                return {"a": [1]}

            @pytest.mark.parametrize("number", range(400))
            def test_it(number, data):
                assert data
            """
        )
    )
    inner.run(*(["--memscope"] if mode != "asked" else []))
    assert set(inner.verdicts.values()) == {"clean"}
    counts = json.loads((inner.folder / "counts.json").read_text())
    assert counts[0] > 1000
    # Some twenty for each test otherwise, and ten for its reports.
    assert counts[-1] - counts[50] < 3 * 350


LEAKS = {
    "a list that the item has too": """
        KEPT = []

        @pytest.fixture(autouse=True)
        def keep(request):
            request.node.kept = KEPT

        def test_it():
            KEPT.append(ONE)
        """,
    "the list that a fixture of the module returned": """
        @pytest.fixture(scope="module")
        def kept():
            return []

        def test_it(kept):
            kept.append(ONE)
        """,
}


@pytest.mark.parametrize("leak", LEAKS)
def test_no_leak_is_lost(inner: Inner, leak: str) -> None:
    clean = """
        @pytest.mark.parametrize("number", range(10))
        def test_clean(number):
            pass
        """
    inner.write(HEAD + textwrap.dedent(clean) + textwrap.dedent(LEAKS[leak]))
    inner.run("--memscope-fixtures")
    judged = {name.partition("[")[0]: verdict for name, verdict in inner.verdicts.items()}
    assert judged == {"test_clean": "clean", "test_it": "leaks"}
