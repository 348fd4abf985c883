"""Which nodes run, are taken, are skipped: the decision without Dolt and without Kedro."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from kedro_doltdb.incremental.decide import (
    PERHAPS,
    RUN,
    SKIP,
    TAKE,
    Decider,
    Known,
    Last,
    content_key,
    explain,
)
from kedro_doltdb.incremental.facts import Facts
from kedro_doltdb.journal.store import Execution

FIRST = Facts("first", "r1", ("raw",), ("clean",))
SECOND = Facts("second", "r2", ("clean",), ("report",))
NOW = {"raw": "a", "clean": "b", "report": "c"}


def known(recipe: str, loads: Mapping[str, str], saves: Mapping[str, str]) -> dict[str, list[Known]]:
    """An execution on record."""
    execution = Execution("n", recipe=recipe, inputs=content_key(loads), outputs=content_key(saves))
    return {recipe: [Known("run", execution, "main")]}


RECORDS = {**known("r1", {"raw": "a"}, {"clean": "b"}), **known("r2", {"clean": "b"}, {"report": "c"})}


def decider(contents: Mapping[str, str | None], takeable: Mapping[str, str] | None = None) -> Decider:
    """Two nodes in a row, whose last run is on record."""
    return Decider([FIRST, SECOND], contents, RECORDS, lambda one, found: takeable, lambda one, now: "why")


def actions(decider: Decider) -> list[str]:
    """What is foretold."""
    return [one.action for one in decider.foretell()]


def test_nothing_has_changed() -> None:
    assert actions(decider(NOW)) == [SKIP, SKIP]


def test_an_input_has_changed() -> None:
    assert actions(decider({**NOW, "raw": "x"})) == [RUN, PERHAPS]


def test_an_output_was_edited_and_can_be_had() -> None:
    assert actions(decider({**NOW, "clean": "x"}, {"clean": "b"})) == [TAKE, SKIP]


def test_an_output_was_edited_and_cannot_be_had() -> None:
    assert actions(decider({**NOW, "clean": "x"})) == [RUN, PERHAPS]


def test_what_is_not_known_never_equals_itself() -> None:
    assert content_key({"a": None}) is None
    unknown = {"r1": [Known("run", Execution("first", recipe="r1", inputs=None, outputs=None), "main")]}
    found = Decider([FIRST], {"raw": None, "clean": None}, unknown, lambda *_: {}, lambda *_: "why")
    assert actions(found) == [RUN]


def test_a_node_that_saves_the_same_stops_the_wave() -> None:
    found = decider({**NOW, "raw": "x"})
    assert [(one.node, one.action) for one in found.next()] == [("first", RUN)]
    found.ran(["first"], {"clean": "b"})
    assert [(one.node, one.action) for one in found.next()] == [("second", SKIP)]
    assert found.is_done


def test_a_node_that_saves_something_new_makes_the_next_one_run() -> None:
    found = decider({**NOW, "raw": "x"})
    found.next()
    found.ran(["first"], {"clean": "y"})
    assert [(one.node, one.action) for one in found.next()] == [("second", RUN)]


def test_what_surely_runs_runs_together() -> None:
    found = Decider([FIRST, SECOND], NOW, {}, lambda *_: None, lambda *_: "why")
    assert [one.action for one in found.next()] == [RUN, RUN]


def test_a_force_runs_all() -> None:
    found = Decider([FIRST, SECOND], NOW, RECORDS, lambda *_: None, lambda *_: "why", "forced")
    assert [(one.action, one.why) for one in found.foretell()] == [(RUN, "forced"), (RUN, "forced")]


def test_a_reason_that_cannot_be_told_is_the_reason() -> None:
    facts = Facts("first", None, ("raw",), ("clean",), "it uses `eval`")
    found = Decider([facts], NOW, {"": []}, lambda *_: None, lambda *_: "why")
    assert found.foretell()[0].why == "it uses `eval`"


@given(st.dictionaries(st.sampled_from(["raw", "clean", "report"]), st.sampled_from(["a", "b", "c", None])))
def test_only_what_is_all_equal_is_skipped(contents: dict[str, str | None]) -> None:
    skipped = [one.node for one in decider(contents).foretell() if one.action == SKIP]
    assert ("first" in skipped) == (contents.get("raw") == "a" and contents.get("clean") == "b")
    if "second" in skipped:
        assert contents.get("clean") == "b" and contents.get("report") == "c"


def why(facts: Facts, last: Last | None, contents: Mapping[str, str | None] = NOW) -> str:
    """The reason, where the ratio is 0.1 now."""
    return explain(facts, contents, last, {"ratio": 0.1}, lambda dataset: "+15 rows", "shop")


def test_the_reasons_in_plain_words() -> None:
    facts = Facts(
        "first", "r1", ("raw",), ("clean",), None, {"shop.helpers.distance": "1"}, {"ratio": "p"}, {}
    )
    before = {"code": {"shop.helpers.distance": "1"}, "params": {"ratio": "p"}}

    def last(loads: str = "a", saves: str = "b", **values: object) -> Last:
        execution = Execution("first", recipe="old", **{**before, **values})  # type: ignore[arg-type]
        return Last(execution, {"raw": loads}, {"clean": saves}, {"ratio": 0.2})

    assert why(facts, None) == "no run of it is on record on this branch"
    assert why(facts, last(code={"shop.helpers.distance": "0"})) == "code of `helpers.distance` changed"
    assert why(facts, last(params={"ratio": "q"})) == "parameter ratio 0.2 → 0.1"
    assert why(facts, last(loads="x")) == "input raw: +15 rows"
    assert why(facts, last(saves="x")) == "output clean is not as it was saved"
    assert why(facts, last(), {"raw": "a"}) == "output clean is not there"
    assert why(facts, last(entries={"raw": "e"})) == "catalog entry of raw changed"
