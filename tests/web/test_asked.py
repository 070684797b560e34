"""What a page is asked for; and that keys of the program's dicts do not leave it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memscope.naming import edge_text
from memscope.web.asked import Asked, Unknown, contains, hide_keys, thinned
from memscope.web.handles import Handles


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("module app -> CACHE -> ['user:17']", "module app -> CACHE -> [key]"),
        ("['a'] -> .b -> [\"it's\"]", "[key] -> .b -> [key]"),
        ("[b'token']", "[key]"),
        (r"['with \' quote']", "[key]"),
        ("['" + "x" * 60 + "'...]", "[key]"),
        ("[('a', 1, ('b',))]", "[key]"),
        ("[(1, 2)]", "[key]"),
        ("[4111111111111111]", "[key]"),
        ("[-1.5e10]", "[key]"),
        ("[12] -> [0]", "[12] -> [0]"),
        ("[<app.Session>]", "[<app.Session>]"),
        ("['cut sho", "[key]..."),
        ("it's 'quoted', isn't it", "it's 'quoted', isn't it"),
        ("key", "key"),
        ("dict of 12", "dict of 12"),
    ],
)
def test_keys_are_hidden(text: str, expected: str) -> None:
    assert hide_keys(text) == expected


SECRETS = st.text("S'\"\\()[], \n\té", min_size=1, max_size=30).map(
    lambda text: f"SECRET{text}SECRET"
)
KEYS = st.recursive(
    SECRETS | SECRETS.map(lambda text: text.encode()),
    lambda inner: st.tuples(inner) | st.tuples(inner, st.integers()),
    max_leaves=3,
)


@given(KEYS, st.text("ab -> .['", max_size=8))
def test_no_key_gets_through(key: object, before: str) -> None:
    text = f"{before}module app -> CACHE -> {edge_text('key', key)} -> .field"
    assert "SECRET" not in hide_keys(text)
    assert "SECRET" not in hide_keys(text[: len(text) // 2 + 10])


@given(st.text(max_size=200))
def test_any_text_is_taken(text: str) -> None:
    assert hide_keys(hide_keys(text)) == hide_keys(text)


def test_handles_are_of_a_kind() -> None:
    handles = Handles()
    asked = Asked({}, handles)
    handle = asked.handle("class", "app.Session")
    assert asked.find("class", handle) == "app.Session"
    for kind, wrong in (("route", handle), ("class", ""), ("class", "guessed")):
        with pytest.raises(Unknown):
            asked.find(kind, wrong)


def test_a_filter_is_a_part_of_the_name() -> None:
    assert contains("app.Session", "SESS")
    assert not contains("app.Session", "s.*n")
    assert Asked({"q": "  a" + "b" * 500}, Handles()).filter == "a" + "b" * 197


@given(st.lists(st.integers(), max_size=50), st.integers(2, 20))
def test_thinned(values: list[int], most: int) -> None:
    found = thinned(values, most)
    assert len(found) == min(len(values), most)
    if values:
        assert (found[0], found[-1]) == (values[0], values[-1])


def test_variables_are_no_keys() -> None:
    text = "frame f -> function -> .__globals__ -> ['CACHE'] -> ['secret']"
    assert hide_keys(text) == "frame f -> function -> .__globals__ -> CACHE -> [key]"
    assert hide_keys(".__dict__ -> ['not a name']") == ".__dict__ -> [key]"
