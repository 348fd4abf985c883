"""The section ``checks`` of dolt.yml: what is wrong in it is named, with the nearest right key."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from kedro_doltdb.checks.definitions import KINDS, accepted_names, checks_of, parse
from kedro_doltdb.errors import ConfigError

GOOD: dict[str, Any] = {
    "max_rows_added": 5,
    "max_rows_removed": "5%",
    "max_rows_modified": {"limit": "0.5 %", "severity": "warn"},
    "max_rows_changed": 0,
    "append_only": True,
    "unchanged": True,
    "frozen_schema": {"limit": True, "severity": "error"},
    "columns_changed_within": ["a", "b"],
    "max_change": {"accuracy": 0.02, "loss": {"rise": 0}, "avg(price)": {"fall": 1, "rise": 2}},
    "not_null": ["a", "b"],
    "unique": ["id", ["day", "shop"]],
    "accepted_values": {"species": ["setosa", 1]},
    "between": {"a": [0, 1.5], "b": [None, 3]},
    "row_count": [1, None],
    "references": {"customer": "customers.id"},
    "sql": {"no_ghosts": "SELECT 1 FROM t WHERE FALSE;"},
}


def test_every_check_can_be_read() -> None:
    assert set(GOOD) == set(KINDS)
    checks = parse({"t": GOOD})
    assert [check.name for check in checks_of("T", checks)] == [
        "max_rows_added", "max_rows_removed", "max_rows_modified", "max_rows_changed", "append_only",
        "unchanged", "frozen_schema", "columns_changed_within", "max_change.accuracy", "max_change.loss",
        "max_change.avg(price)", "not_null.a", "not_null.b", "unique.id", "unique.day,shop",
        "accepted_values.species", "between.a", "between.b", "row_count", "references.customer",
        "sql.no_ghosts",
    ]  # fmt: skip
    bounds = {check.name: check.bound for check in checks}
    assert bounds["max_rows_modified"] == "0.5%" and bounds["max_change.accuracy"] == {
        "fall": 0.02,
        "rise": 0.02,
    }
    assert [check.name for check in checks if check.severity == "warn"] == ["max_rows_modified"]
    assert parse(None) == parse({}) == parse({"t": None}) == ()


BAD = [
    ({"t": {"max_row_changed": 5}},
     "`checks.t.max_row_changed` is not a check: did you mean `checks.t.max_rows_changed`?"),
    ({"t": {"size": 5}}, "`checks.t.size` is not a check: known are max_rows_added"),
    (["t"], "`checks` must be a mapping from tables to their checks"),
    ({"t": 5}, "`checks.t` must be a mapping"),
    ({"t": {"max_rows_changed": -1}}, "a whole number of rows, or a percentage"),
    ({"t": {"max_rows_changed": True}}, "a whole number of rows"),
    ({"t": {"max_rows_changed": 0.5}}, "a whole number of rows"),
    ({"t": {"max_rows_changed": "5"}}, "a whole number of rows"),
    ({"t": {"max_rows_changed": "-5%"}}, "a whole number of rows"),
    ({"t": {"max_rows_changed": {"limit": 5, "severity": "fatal"}}},
     "`checks.t.max_rows_changed.severity` must be `error` or `warn`"),
    ({"t": {"max_rows_changed": {"severity": "warn"}}}, "a mapping with `limit` and `severity`"),
    ({"t": {"max_rows_changed": {"limit": 5, "severty": "warn"}}}, "a whole number of rows"),
    ({"t": {"unchanged": "yes"}}, "true or false"),
    ({"t": {"not_null": [1]}}, "a column or a list of columns"),
    ({"t": {"unique": [["a", 1]]}}, "a column, or a list of columns and lists"),
    ({"t": {"unique": [[]]}}, "a column, or a list of columns and lists"),
    ({"t": {"accepted_values": ["a"]}}, "a mapping from columns"),
    ({"t": {"accepted_values": {"a": "b"}}}, "`checks.t.accepted_values.a` must be a list of values"),
    ({"t": {"accepted_values": {"a": [None]}}}, "a list of texts, numbers and dates"),
    ({"t": {"between": {"a": [1]}}}, "the lowest and the highest value"),
    ({"t": {"between": {"a": [None, None]}}}, "the lowest and the highest value"),
    ({"t": {"row_count": [1.5, 2]}}, "a whole number, or a list"),
    ({"t": {"references": {"a": "b"}}}, "another table and its column"),
    ({"t": {"max_change": 0.02}}, "a mapping from metrics"),
    ({"t": {"max_change": {"acc": "x"}}}, "a number, at least 0"),
    ({"t": {"max_change": {"acc": -1}}}, "a number, at least 0"),
    ({"t": {"max_change": {"acc": {"drop": 1}}}},
     "`checks.t.max_change.acc.drop` is not a direction: known are fall, rise"),
    ({"t": {"sql": ["SELECT 1"]}}, "a SELECT, or a mapping from names to SELECTs"),
    ({"t": {"sql": {"a": " "}}}, "a SELECT that finds the rows"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "words"), BAD)
def test_what_is_wrong_is_named(section: Any, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(section)
    assert words in error.value.message and error.value.message.startswith("conf/*/dolt.yml: `checks")
    assert "\n" not in error.value.message


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize(
    "check",
    [
        lambda number: {"max_rows_changed": number},
        lambda number: {"max_change": {"acc": number}},
        lambda number: {"max_change": {"acc": {"rise": number}}},
        lambda number: {"accepted_values": {"a": [1, number]}},
        lambda number: {"between": {"a": [0, number]}},
        lambda number: {"row_count": [0, number]},
    ],
)
def test_numbers_without_end_are_refused(check: Callable[[float], Any], number: float) -> None:
    with pytest.raises(ConfigError, match=r"`checks\.t\..* must be "):
        parse({"t": check(number)})


def test_what_can_be_accepted() -> None:
    checks = parse({
        "t": GOOD, "my.table": {"unique": "id"}, "x_*": {"unchanged": True, "sql": "SELECT 1"},
        "off": {"row_count": False},
    })  # fmt: skip
    names = (
        "max_rows_changed", "t.max_rows_changed", "T.max_rows_changed", "t.not_null.a", "t.not_null",
        "not_null.a", "my.table.unique", "My.Table.unique.id", "t.max_change.avg(price)", "X_y.unchanged",
        "x_*.sql", "dolt_tests.rows",
    )  # fmt: skip
    assert accepted_names(names, checks) == names
    for name, hint in {
        "t.max_row_changed": "did you mean `max_rows_changed`",
        "x.y.max_rows_changed": "did you mean `t.max_rows_changed`",
        "max_rows_changed.foo": "did you mean `t.max_rows_changed`",
        "t.not_null.c": "did you mean `t.not_null.[ab]`",
        "off.row_count": "did you mean `t.row_count`",
        "u.unchanged": "did you mean `t.unchanged`|`x_",
        "dolt_tests": "known are",
    }.items():
        with pytest.raises(ConfigError, match=rf"{name} is not a check that could be accepted: .*{hint}"):
            accepted_names([name], checks)
    with pytest.raises(ConfigError, match="there are none under `checks`"):
        accepted_names(["t.unchanged"], ())


def test_the_schema_for_editors_says_the_same() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    file = resources.files("kedro_doltdb.checks").joinpath("schema.json")
    schema = jsonschema.Draft7Validator(json.loads(file.read_text(encoding="utf-8")))
    schema.check_schema(schema.schema)
    assert not list(schema.iter_errors({"managed": True, "checks": {"t": GOOD, "u": None}}))
    for kind, bound in GOOD.items():
        plain = bound["limit"] if "severity" in (bound if isinstance(bound, dict) else {}) else bound
        for value in (plain, False, None, {"limit": plain, "severity": "warn"}):
            parse({"t": {kind: value}})
            assert schema.is_valid({"checks": {"t": {kind: value}}}), (kind, value)
    for section, words in BAD:
        assert not schema.is_valid({"checks": section}), words
