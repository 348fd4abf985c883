"""Parameters as the journal keeps them."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kedro_doltdb.journal.parameters import differences, leaves, mask, plain, restored, secrets_in, typed

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.tuples(st.integers(), st.text(max_size=2))
    | st.frozensets(st.integers(), max_size=3)
    | st.sets(st.integers(), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
PARAMS = st.dictionaries(st.text(min_size=1, max_size=4), ANYTHING, max_size=4)


@given(ANYTHING)
def test_whatever_a_parameter_is_it_becomes_json_that_a_float_holds(value: object) -> None:
    text = json.dumps(plain(value), allow_nan=False)
    assert json.loads(text, parse_int=float) == json.loads(text)


@given(PARAMS, st.text(min_size=4, max_size=6))
def test_no_secret_is_left_wherever_it_was(params: dict[str, object], secret: str) -> None:
    # Nobody wrote these texts.
    assume(secret not in ("True", "False", "None"))
    found = plain(
        {**params, "url": f"mysql://ada:{secret}@host", "list": [{"token": secret}], secret: 1}, {secret}
    )

    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [*map(str, value), *(text for item in value.values() for text in texts(item))]
        return [text for item in value for text in texts(item)] if isinstance(value, list) else [str(value)]

    assert not any(secret in text for text in texts(found) if secret not in "***" and "***" not in text)
    assert found["list"] == [{"token": "***"}] and found["url"].count(secret) == 0


def test_a_short_secret_is_masked_only_where_it_is_the_whole_value() -> None:
    assert plain({"a": "abc", "b": "abcdef", "n": 123456}, {"abc", "123456"}) == {
        "a": "***",
        "b": "abcdef",
        "n": "***",
    }
    assert mask("a longsecret here", {"long", "longsecret"}) == "a *** here"


def test_credentials_are_found_however_deep() -> None:
    credentials = {
        "db": {"con": "secret", "port": 3306, "ssl": True, "keys": ["k1", {"x": b"k2"}]},
        "empty": "",
    }
    assert secrets_in(credentials) == {"secret", "3306", "k1", "k2"}


def test_what_json_cannot_hold_becomes_text() -> None:
    assert plain([datetime.date(2026, 1, 2), math.inf, 2**60, 2**53, {2, 1}, (1,)]) == [
        "2026-01-02", "inf", str(2**60), 2**53, [1, 2], [1],
    ]  # fmt: skip


def test_differences_are_told_leaf_by_leaf() -> None:
    old = {"a": {"b": 1, "c": [1, 2]}, "same": 1, "gone": 0, "flag": True}
    new = {"a": {"b": 2, "c": [1, 2]}, "same": 1.0, "new": None, "flag": 1}
    assert differences(old, new) == {"a.b": (1, 2), "flag": (True, 1), "gone": (0, None), "new": (None, None)}
    assert leaves({"a": {"b": {"c": 1}}, "empty": {}}) == {"a.b.c": 1, "empty": {}}


def same_types(one: object, other: object) -> bool:
    """Whether two values are equal to the last type and bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        assert isinstance(other, dict)
        return [(type(key), key) for key in one] == [(type(key), key) for key in other] and all(
            same_types(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        return len(one) == len(other) and all(map(same_types, one, other))
    return repr(one) == repr(other) if isinstance(one, float) else one == other


def as_dolt_gives_it_back(value: object) -> object:
    """JSON as Dolt keeps it: numbers are 64-bit floats, and whole ones are written without a point."""
    text = json.dumps(value, allow_nan=False, sort_keys=True)

    def number(digits: str) -> float | int:
        found = float(digits)
        return int(found) if found.is_integer() and abs(found) <= 2**53 else found

    return json.loads(text, parse_int=number, parse_float=number)


@given(PARAMS | st.dictionaries(st.integers() | st.booleans() | st.floats(allow_nan=False), ANYTHING))
def test_the_journal_gives_parameters_back_with_their_types(params: dict[object, object]) -> None:
    value, types = typed(params)
    names = [str(key) for key in params]
    found, lost = restored(as_dolt_gives_it_back(value), as_dolt_gives_it_back(types), {})
    assert same_types(found, params) or (len(names) > len(set(names)) and lost)


def test_types_are_said_only_where_json_lacks_them() -> None:
    params = {
        "depth": 3, "rate": 0.1, "on": True, "none": None, "list": [1, "a"], "whole": 1.0, "big": 2**60,
        "day": datetime.date(2026, 1, 2), "labels": {0: "setosa", "1": "virginica"}, "a/b~c": math.inf,
    }  # fmt: skip
    value, types = typed(params)
    assert types == {
        "/whole": "float", "/big": "int", "/day": "date", "key /labels/0": "int", "/a~1b~0c": "float",
        "order ": list(params),
    }  # fmt: skip
    assert value["labels"] == {"0": "setosa", "1": "virginica"} and value["whole"] == 1.0


class Thing:
    """What a resolver may give."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


def test_secrets_and_objects_come_from_today_if_they_are_the_same() -> None:
    was = {"token": "hunter2secret", "url": "sql://hunter2secret@h", "thing": Thing("one"), "stars": "***"}
    value, types = typed(was, {"hunter2secret"})
    today = {**was, "thing": Thing("one")}
    assert restored(value, types, today, {"hunter2secret"}) == (today, [])
    _, lost = restored(value, types, {**today, "thing": Thing("two"), "url": "***"}, {"hunter2secret"})
    assert lost == ["url", "thing"]
    # Without types, *** may always have been a secret.
    assert restored({"stars": "***"}, None, {})[1] == ["stars"]
    assert restored({"stars": "***"}, {}, {}) == ({"stars": "***"}, [])


def test_a_journal_without_types_keeps_those_of_today() -> None:
    old = {"labels": {"0": "a", "1": "b"}, "rate": 1, "depth": 3}
    found, lost = restored(old, None, {"labels": {0: "a", 1: "c"}, "rate": 1.0, "depth": 2})
    assert same_types(found, {"labels": {0: "a", 1: "b"}, "rate": 1.0, "depth": 3}) and not lost


@pytest.mark.parametrize(
    "types", [{"/a": "int"}, {"/a": "date"}, {"/a": "set"}, {"/a": 5}, {"key /a": "int"}]
)
def test_types_that_do_not_fit_are_said(types: dict[str, object]) -> None:
    assert restored({"a": "x"}, types, {})[1] == ["a"] or types == {"/a": "set"}


def test_what_kedro_validates_is_kept_as_it_was_given() -> None:
    @dataclasses.dataclass
    class Model:
        depth: int
        rate: float

    assert typed({"model": Model(3, 1.0)}) == ({"model": {"depth": 3, "rate": 1.0}}, {"/model/rate": "float"})
