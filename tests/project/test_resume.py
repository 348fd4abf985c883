"""A resumed run publishes what the whole run would have, or it is refused."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from conftest import dolt, run_kedro
from helpers import (
    TABLES,
    add_pipeline,
    branches,
    break_node,
    hashes,
    let_go,
    messages,
    query,
    start_slow_run,
)

from kedro_doltdb.catalog.footprint import Footprint
from kedro_doltdb.errors import DoltError
from kedro_doltdb.journal.store import Edge, Run
from kedro_doltdb.run.publish import Publisher
from kedro_doltdb.run.records import Record
from kedro_doltdb.run.resume import TakeOver, take_over
from kedro_doltdb.run.transaction import Transaction

RATIO = "example_test_data_ratio"
BROKEN = "raise RuntimeError('broken')"

# one → a → two → b → three → c, and one → a → other → d
EDGES = [
    Edge("one", "a", "save", "a", content_hash="ha"),
    Edge("two", "a", "load", "a", content_hash="ha"),
    Edge("two", "b@pandas", "save", "b", content_hash="hb"),
    Edge("three", "b@query", "load", "b", content_hash="hb"),
    Edge("three", "c", "save", "c"),
    Edge("other", "a", "load", "a", content_hash="ha"),
    Edge("other", "d", "save", "d"),
]
READ = {"one": ["ratio"], "two": ["model.depth"], "three": ["threshold"], "other": []}
PARAMS = {"ratio": 0.4, "model": {"depth": 3}, "threshold": 1, "unused": "x"}


def failed_run(**changes: object) -> Record:
    record = Record(
        "1", "main", "base", ["__default__"], run=Run("1", params=PARAMS, environment="local"),
        edges=EDGES, parameters_read=READ,
    )  # fmt: skip
    return replace(record, **changes)  # type: ignore[arg-type]


def resuming_run(*nodes: str, params: dict[str, object] = PARAMS, **changes: object) -> Record:
    record = failed_run(
        run_id="2", edges=[edge for edge in EDGES if edge.node in nodes],
        run=Run("2", params=params, environment="local"),
    )  # fmt: skip
    return replace(record, **changes)  # type: ignore[arg-type]


def resume(
    *nodes: str, complete: str = "a b d", written: str = "a b d", **changes: object
) -> TakeOver | None:
    return take_over(
        failed_run(),
        set(complete.split()),
        set(written.split()),
        resuming_run(*nodes, **changes),  # type: ignore[arg-type]
    )


def test_all_that_skipped_nodes_saved_is_taken_over() -> None:
    taken = resume("three")
    assert taken is not None
    # `d` too, which the resumed node neither loads nor saves.
    assert taken.tables == ["a", "b", "d"] and taken.datasets == ["a", "b", "d"]
    assert {(edge.node, edge.computed_by) for edge in taken.edges} == {
        ("one", "1"), ("two", "1"), ("other", "1")
    }  # fmt: skip
    assert taken.parameters == {"one": ["ratio"], "two": ["model.depth"], "other": []}


def test_tables_of_nodes_that_run_again_are_left_behind() -> None:
    taken = resume("two", "three")
    assert taken is not None and taken.tables == ["a", "d"]


def test_what_was_taken_over_before_keeps_the_run_that_computed_it() -> None:
    edges = [replace(edge, computed_by="0" if edge.node == "one" else None) for edge in EDGES]
    taken = take_over(failed_run(edges=edges), {"b", "d"}, {"a", "b", "d"}, resuming_run("three"))
    assert taken is not None
    assert {edge.node: edge.computed_by for edge in taken.edges} == {"one": "0", "two": "1", "other": "1"}


def test_a_run_that_skips_nothing_that_finished_is_not_a_resumed_one() -> None:
    assert resume("two", "three", complete="", written="") is None
    assert resume("one", "two", "three", "other") is None


def test_skipping_a_node_that_did_not_finish_is_refused() -> None:
    with pytest.raises(DoltError, match=r"other did not finish and would not run now.*--from-nodes"):
        resume("three", complete="a b", written="a b")


def test_skipping_nodes_of_which_it_is_lost_that_they_finished_is_refused() -> None:
    with pytest.raises(DoltError, match="one, other, two did not finish and would not run now"):
        resume("three", complete="")
    assert resume("three", complete="", written="c") is None


def test_a_node_has_finished_when_another_has_begun_to_load_from_it() -> None:
    # A generator's outputs are noted only then.
    taken = resume("three", complete="b d")
    assert taken is not None and taken.tables == ["a", "b", "d"]


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({**PARAMS, "ratio": 0.2}, "ratio was 0.4 and is 0.2 now, and one ran with it.*--params ratio=0.4"),
        ({**PARAMS, "model": {"depth": 4}}, "model.depth was 3 and is 4 now, and two ran with it"),
        ({k: v for k, v in PARAMS.items() if k != "ratio"}, "ratio was 0.4 and is None now"),
    ],
)
def test_other_parameters_of_a_skipped_node_are_refused_with_both_values(
    params: dict[str, object], named: str
) -> None:
    with pytest.raises(DoltError, match=named):
        resume("three", params=params)


def test_parameters_that_only_resumed_nodes_load_may_differ() -> None:
    assert resume("three", params={**PARAMS, "threshold": 2, "unused": "y"})
    assert resume("three", params={**PARAMS, "threshold": 2}, runtime_params={"threshold": 2})


def test_a_runtime_parameter_that_no_resumed_node_loads_may_not_differ() -> None:
    # The catalog may use it: ${runtime_params:unused}.
    with pytest.raises(DoltError, match="unused was 'x' and is 'y' now"):
        resume("three", params={**PARAMS, "unused": "y"}, runtime_params={"unused": "y"})


def test_a_node_that_loads_all_parameters_depends_on_each() -> None:
    failed = failed_run(parameters_read={**READ, "one": [""]})
    with pytest.raises(DoltError, match="unused was 'x' and is 'y' now, and one ran with it"):
        take_over(
            failed, {"a", "b", "d"}, {"a", "b", "d"}, resuming_run("three", params={**PARAMS, "unused": "y"})
        )


def test_another_environment_is_refused() -> None:
    with pytest.raises(DoltError, match=r"environment local, and this is prod.*--env local"):
        resume("three", run=Run("2", params=PARAMS, environment="prod"))


def test_a_table_that_no_visible_dataset_saves_is_refused() -> None:
    with pytest.raises(DoltError, match="it changed hidden, and no dataset that kedro-dolt can see into"):
        resume("three", written="a b d hidden")


def test_a_table_that_a_resumed_node_saves_too_is_refused() -> None:
    edges = [replace(edge, table_name="A") if edge.dataset == "c" else edge for edge in EDGES]
    with pytest.raises(DoltError, match="a is saved by a node that runs again"):
        take_over(
            failed_run(edges=edges), {"a", "b", "d"}, {"a", "b", "d"},
            resuming_run("three", edges=[edge for edge in edges if edge.node == "three"]),
        )  # fmt: skip


def with_file(edges: list[Edge], content_hash: str | None) -> list[Edge]:
    """Make the dataset ``b`` a file."""
    return [
        replace(edge, table_name=None, file="data/b.csv", content_hash=content_hash)
        if edge.dataset.startswith("b@")
        else edge
        for edge in edges
    ]


@pytest.mark.parametrize(("then", "now"), [("x", "y"), (None, "y"), (None, None), ("x", None)])
def test_a_file_that_is_not_as_the_failed_run_left_it_is_refused(then: str | None, now: str | None) -> None:
    failed = failed_run(edges=with_file(EDGES, then))
    run = resuming_run("three")
    run.edges = with_file(run.edges, now)
    with pytest.raises(DoltError, match=r"data/b\.csv is not known to be as two left it"):
        take_over(failed, {"a", "b", "d"}, {"a", "d"}, run)


def test_a_file_that_is_as_the_failed_run_left_it_is_loaded() -> None:
    run = resuming_run("three")
    run.edges = with_file(run.edges, "x")
    taken = take_over(failed_run(edges=with_file(EDGES, "x")), {"a", "b", "d"}, {"a", "d"}, run)
    assert taken is not None and taken.tables == ["a", "d"]


def test_a_record_of_an_older_version_is_refused() -> None:
    with pytest.raises(DoltError, match="an older version of kedro-dolt kept it"):
        take_over(failed_run(parameters_read=None), {"a", "b", "d"}, {"a"}, resuming_run("three"))


def run(project: Path, *args: str, check: bool = True, **env: str) -> str:
    done = run_kedro(project, "run", *args, check=check, **env)
    return done.stdout + done.stderr


def advice(output: str) -> list[str]:
    """The arguments to go on with that were printed."""
    return [f"--from-nodes={names}" for names in re.findall(r'--from-nodes "([^"]+)"', output)]


def test_a_run_that_finished_no_node_or_is_one_of_a_group_is_to_be_repeated(project: Path) -> None:
    output = run(project, f"--params={RATIO}=text", check=False)
    assert "The run was not published" in output and advice(output) == []
    break_node(project, "report_accuracy")
    output = run(project, "--params=dolt_run_group=nightly", check=False, BREAK=BROKEN)
    assert "The run was not published" in output and advice(output) == ["--from-nodes=report_accuracy"]


def test_an_interrupted_run_says_where_to_go_on(project: Path) -> None:
    break_node(project, "make_predictions")
    process = start_slow_run(project, "run")
    process.send_signal(signal.SIGINT)
    output = let_go(project, process)
    assert advice(output) == ["--from-nodes=make_predictions"] and "repeat the command with" in output
    run(project, *advice(output))
    run(project, "--params=dolt_branch=whole,dolt_from=HEAD~1")
    assert hashes(project) == hashes(project, "whole")


@pytest.mark.usefixtures("first_run")
def test_the_ordinary_resume_equals_the_whole_run(project: Path) -> None:
    break_node(project, "report_accuracy")
    run(project, f"--params={RATIO}=0.45", check=False, BREAK=BROKEN)
    before = hashes(project)
    output = run(project, "--from-nodes=report_accuracy", check=False)
    assert f"{RATIO} was 0.45 and is 0.2 now, and split_data ran with it" in output
    assert "Traceback" not in output and hashes(project) == before
    # A refused resume does not end the offer.
    run(project, "--from-nodes=report_accuracy", f"--params={RATIO}=0.45")
    run(project, f"--params={RATIO}=0.45,dolt_branch=whole,dolt_from=HEAD~1")
    assert hashes(project) == hashes(project, "whole") != before
    (computed,) = query(
        project,
        "SELECT DISTINCT l.computed_by = r.resumed_from AS same FROM kedro_lineage l JOIN kedro_runs r "
        "USING (run_id) WHERE node = 'split_data' AND r.resumed_from IS NOT NULL",
    )
    assert computed == {"same": "true"}


@pytest.mark.thorough
def test_a_resumed_first_run_leaves_no_table_missing(project: Path) -> None:
    break_node(project, "report_accuracy")
    run(project, check=False, BREAK=BROKEN)
    run(project, "--from-nodes=report_accuracy")
    run(project, "--params=dolt_branch=whole,dolt_from=HEAD~1")
    assert set(TABLES) < set(dolt(project, "ls").split())
    assert hashes(project) == hashes(project, "whole")


@pytest.mark.thorough
def test_a_resume_that_fails_can_be_resumed_itself(project: Path) -> None:
    for node in ("make_predictions", "report_accuracy"):
        break_node(project, node)
    output = run(project, check=False, BREAK=BROKEN)
    # Kedro's advice, and ours.
    assert advice(output) == ["--from-nodes=make_predictions"] * 2
    # make_predictions has four inputs, report_accuracy three.
    output = run(project, advice(output)[0], check=False, BREAK=f"if len(args) == 3: {BROKEN}")
    assert advice(output) == ["--from-nodes=report_accuracy"] * 2
    run(project, advice(output)[1])
    run(project, "--params=dolt_branch=whole,dolt_from=HEAD~1")
    assert hashes(project) == hashes(project, "whole")


@pytest.mark.thorough
def test_a_cached_dataset_comes_along_and_a_hidden_table_is_refused(project: Path) -> None:
    catalog = project / "conf" / "base" / "catalog.yml"
    text = catalog.read_text()
    inner = "\n".join(f"    {line}" for line in (
        "type: pandas.SQLTableDataset", "credentials: dolt", "table_name: example_train_x",
        "save_args: {if_exists: replace, method: '${dolt.bulk_load:sample_id}'}",
    ))  # fmt: skip
    catalog.write_text(f"{text}\nexample_train_x:\n  type: CachedDataset\n  dataset:\n{inner}\n")
    run(project, f"--params={RATIO}=0.3")
    break_node(project, "make_predictions")
    run(project, f"--params={RATIO}=0.5", check=False, BREAK=BROKEN)
    run(project, "--from-nodes=make_predictions", f"--params={RATIO}=0.5")
    run(project, f"--params={RATIO}=0.5,dolt_branch=whole,dolt_from=HEAD~1")
    assert hashes(project) == hashes(project, "whole")

    package = next((project / "src").glob("*/settings.py")).parent
    (package / "hidden.py").write_text(
        "import pandas as pd\nfrom kedro.io import AbstractDataset\n"
        "from sqlalchemy import create_engine\n\n\n"
        "class Hidden(AbstractDataset):\n"
        "    def __init__(self, name, credentials):\n        self._name, self._given = name, credentials\n"
        "    def _engine(self):\n"
        "        con = self._given['con']\n"
        "        return create_engine(con, **{k: v for k, v in self._given.items() if k != 'con'})\n"
        "    def _load(self):\n        return pd.read_sql_table(self._name, self._engine())\n"
        "    def _save(self, data):\n"
        "        data.to_sql(self._name, self._engine(), if_exists='replace', index=False)\n"
        "    def _describe(self):\n        return {'name': self._name}\n"
    )
    hidden = (
        f"example_train_x:\n  type: {package.name}.hidden.Hidden\n"
        "  name: example_train_x\n  credentials: dolt\n"
    )
    catalog.write_text(f"{text}\n{hidden}")
    before, log = hashes(project), messages(project)
    run(project, f"--params={RATIO}=0.4", check=False, BREAK=BROKEN)
    output = run(project, "--from-nodes=make_predictions", f"--params={RATIO}=0.4", check=False)
    assert "cannot be resumed: it changed example_train_x" in output and "Error:" in output
    assert (hashes(project), messages(project)) == (before, log)


def test_a_run_that_goes_on_at_some_of_the_advised_nodes_is_refused(project: Path) -> None:
    add_pipeline(
        project,
        "fork",
        "import os\n\nimport pandas as pd\nfrom kedro.pipeline import Node, Pipeline\n\n\n"
        "def left(frame):\n    exec(os.environ.get('BREAK', ''))\n    return frame\n\n\n"
        "def right(frame):\n    return frame\n\n\n"
        "def source():\n    return pd.DataFrame({'id': [1]})\n\n\n"
        "def create_pipeline(**kwargs):\n"
        "    return Pipeline([Node(source, None, 'fork_source', name='source'),\n"
        "        Node(left, 'fork_source', 'fork_left', name='left'),\n"
        "        Node(right, 'fork_source', 'fork_right', name='right')])\n",
        "\n'fork_{name}':\n  type: pandas.SQLTableDataset\n  credentials: dolt\n  table_name: fork_{name}\n"
        "  save_args: {if_exists: replace, method: '${dolt.bulk_load:id}'}\n",
    )
    run(project, "--pipeline=fork", check=False, BREAK=BROKEN)
    output = run(project, "--pipeline=fork", "--from-nodes=left", check=False)
    if "right did not finish" not in output:
        # The other one had run first, and comes along.
        assert {"fork_source", "fork_left", "fork_right"} < set(dolt(project, "ls").split())
    else:
        assert "fork_source" not in dolt(project, "ls")
        run(project, "--pipeline=fork", "--from-nodes=left,right")
        assert {"fork_source", "fork_left", "fork_right"} < set(dolt(project, "ls").split())
    assert branches(project)[-1] == "main"


EMPTY = '''
"""A table without rows, and a node that fails."""

import os

import pandas as pd
from kedro.pipeline import Pipeline, node


def make() -> pd.DataFrame:
    return pd.DataFrame({"id": pd.Series(dtype="int64"), "text": pd.Series(dtype="str")})


def count(frame: pd.DataFrame) -> pd.DataFrame:
    exec(os.environ.get("BREAK", ""))
    return pd.DataFrame({"id": [1], "rows": [len(frame)]})


def create_pipeline(**kwargs: object) -> Pipeline:
    making = node(make, None, "no_rows", name="make")
    return Pipeline([making, node(count, "no_rows", "counted", name="count")])
'''
EMPTY_CATALOG = "".join(
    f"""
{name}:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: {name}
  save_args: {{if_exists: replace, method: "${{dolt.bulk_load:id}}"}}
"""
    for name in ("no_rows", "counted")
)


def test_the_key_of_a_table_that_came_into_the_catalog_late_is_noted() -> None:
    record, nothing = failed_run(edges=[]), cast("Any", None)
    transaction = Transaction(Publisher(nothing, nothing, record))
    transaction.note_late(Footprint(primary_keys={"late": ("id",)}), [])
    assert record.primary_keys == {"late": ["id"]}


def test_an_empty_table_that_was_taken_over_has_its_key(project: Path) -> None:
    add_pipeline(project, "empty", EMPTY, EMPTY_CATALOG)
    run_kedro(project, "run", "--pipeline", "empty", check=False, BREAK=BROKEN)
    run_kedro(project, "run", "--pipeline", "empty", "--from-nodes", "count")
    keys = query(project, "SHOW KEYS FROM no_rows")
    assert [key["Column_name"] for key in keys] == ["id"]
    resumed = query(project, "SELECT dolt_hashof_table('no_rows') AS h")
    noted = query(project, "SELECT DISTINCT content_hash AS h FROM kedro_lineage WHERE dataset = 'no_rows'")
    assert noted == resumed
    run_kedro(project, "run", "--pipeline", "empty")
    assert query(project, "SELECT dolt_hashof_table('no_rows') AS h") == resumed
