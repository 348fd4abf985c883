"""The message of a run's commit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kedro_doltdb.journal.message import commit_message, is_kept, run_id_in, runtime_params_in
from kedro_doltdb.journal.store import Run


def message(params: dict[str, Any], before: dict[str, Any] | None = None, **values: Any) -> str:
    run = Run("2026-11-27T10.00.00.000Z", params=params, **values)
    return commit_message(run, None if before is None else Run("before", params=before))


@pytest.mark.parametrize(
    ("before", "params", "given", "told"),
    [
        (None, {"a": 1, "b": 2}, {}, {}),
        (None, {"a": 1, "b": 2}, {"b": 2}, {"b": 2}),
        ({"a": 1}, {"a": 1}, {}, {}),
        ({"a": 1}, {"a": 1}, {"a": 1}, {"a": 1}),
        ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {}, {"a": 2}),
        ({"m": {"k": 1, "w": 1}, "x": 0}, {"m": {"k": 3, "w": 2}}, {"m": {"w": 2}}, {"m": {"k": 3, "w": 2}}),
        ({"a": {"b": 1}}, {"a": 5, "new": None}, {}, {"a": 5, "new": None}),
        ({"a": 1}, {"a": True}, {}, {"a": True}),
    ],
)
def test_parameters_that_were_given_or_differ_from_the_run_before(
    before: dict[str, Any] | None, params: dict[str, Any], given: dict[str, Any], told: dict[str, Any]
) -> None:
    text = message(params, before, runtime_params=given)
    start = "Update data from Kedro run 2026-11-27T10.00.00.000Z with params "
    assert text.startswith(start) and json.loads(text.removeprefix(start)) == told
    assert run_id_in(text) == "2026-11-27T10.00.00.000Z" and runtime_params_in(text) == told


def test_long_parameters_are_short_in_the_first_line_and_whole_below() -> None:
    params: dict[str, Any] = {"prompt": "word " * 500, "many": list(range(100)), "lines": "a\nb"}
    params |= {f"p{number}": number for number in range(40)}
    text = message(params, {}, pipelines=["training"], filters={"tags": ["x", "y"]})
    first, empty, whole, *facts = text.split("\n")
    assert len(first) < 300 and first.endswith(" more}") and '"prompt": "word word' in first and "…" in first
    assert (empty, facts) == ("", ["Pipeline: training", "Tags: x, y"])
    assert json.loads(whole.removeprefix("Params: ")) == params
    assert run_id_in(first) and runtime_params_in(first) == {}


def test_a_first_line_of_moderate_length_is_whole() -> None:
    text = message(
        {f"parameter_{n}": n / 3 for n in range(4)}, {}, environment="prod", git_commit="abc-dirty"
    )
    assert "…" not in text and text.endswith("\n\nEnvironment: prod\nCode: abc-dirty")


def test_a_run_without_effect_does_not_claim_to_update_data() -> None:
    text = commit_message(Run("1", params={"a": 1}), Run("0", params={"a": 2}), effect=False)
    assert text.splitlines()[0] == 'Record Kedro run 1 without effect, with params {"a": 1}'
    assert run_id_in(text) == "1" and not is_kept(text) and is_kept("Kept from Kedro run 1, which failed")
