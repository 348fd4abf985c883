"""Parameters as the journal keeps them."""

from __future__ import annotations

import datetime
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedro_doltdb.errors import ConfigError
from kedro_doltdb.parameters import differences, leaves, mask, plain, same, secrets_in
from kedro_doltdb.rerun import overrides

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
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


@given(PARAMS)
def test_equal_parameters_need_no_override(params: dict[str, object]) -> None:
    assert same(plain(params), json.loads(json.dumps(plain(params))))
    assert overrides(plain(params), plain(params)) == {}


def test_only_what_differs_is_overridden_and_a_masked_value_cannot_be() -> None:
    assert overrides({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 5}, "d": 3, "e": 4}) == {
        "a": {"c": 5},
        "e": 4,
    }
    with pytest.raises(ConfigError, match="The parameter token held a secret"):
        overrides({}, {"token": "***"})
