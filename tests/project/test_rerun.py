"""`kedro dolt rerun`: the run's own parameters, to the last type, or a word on what is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import add_pipeline, branches, query

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.errors import ConfigError
from kedro_doltdb.journal.store import Edge, Run
from kedro_doltdb.run.rerun import Parameters, parameters_of, starting_branch
from kedro_doltdb.settings import Settings

CODE = """
import pandas as pd
from kedro.pipeline import Node, Pipeline


def look(parameters):
    parameters = {key: value for key, value in parameters.items() if not key.startswith("dolt_")}
    seen = [repr(item) for item in parameters.items()]
    return pd.DataFrame({"id": list(range(len(seen))), "seen": seen})


def create_pipeline(**kwargs):
    return Pipeline([Node(look, "parameters", "seen", name="look")])
"""
CATALOG = """
seen:
  <<: *by_sample
  table_name: "seen_${runtime_params:suffix}"
  save_args: {if_exists: replace, method: "${dolt.bulk_load:id}"}
"""
PARAMETERS = """
integer_keys: {0: setosa, 1: virginica}
mixed_keys: {0: a, "1": b, true: c, 1.5: d}
key_added_later: {depth: 3}
key_removed_later: {depth: 3, width: 9}
becomes_a_number: {depth: 3}
dotted: {"a.b": 1}
nothing: null
gone_later: 5
list_of_maps: [{a: 1}, {b: 2024-01-01}]
small: 1.0e-5
whole: 1.0
big: 12345678901234567890
infinite: .inf
negative: -.inf
no_number: .nan
zero: -0.0
text: "007"
yes_text: "yes"
comma: "a=1,b=2"
moment: 2024-01-31T10:00:00+02:00
empty: {}
empty_list: []
resolved: ${oc.select:nothing,7.0}
given: ${runtime_params:suffix}
"""
LATER = """
integer_keys: {0: setosa, 1: versicolor}
mixed_keys: {0: x}
key_added_later: {depth: 3, width: 9}
key_removed_later: {depth: 3}
becomes_a_number: 3
dotted: {"a.b": 2}
nothing: 5
list_of_maps: [{a: 2}]
small: 1
whole: 1
big: 1
infinite: 1
negative: 1
no_number: 1
zero: 0
text: 7
yes_text: true
comma: x
moment: x
empty: {a: 1}
empty_list: [1]
resolved: 7
given: ${runtime_params:suffix}
new_since: 1
"""


def test_a_rerun_gets_exactly_what_the_run_had(project: Path) -> None:
    add_pipeline(project, "look", CODE, CATALOG)
    parameters = project / "conf" / "base" / "parameters.yml"
    parameters.write_text(PARAMETERS)
    run_kedro(project, "run", "--pipeline=look", "--params=suffix=a,size=2.0,depth=3,deep.er=4")
    (row,) = query(project, "SELECT run_id, params, runtime_params, param_types FROM kedro_runs")
    # What people query stays readable.
    params = json.loads(row["params"])
    assert params["integer_keys"] == {"0": "setosa", "1": "virginica"} and params["small"] == 1e-5
    given = {"suffix": "a", "size": 2, "depth": 3, "deep": {"er": 4}}
    assert json.loads(row["runtime_params"]) == given
    assert json.loads(row["param_types"])["params"]["/big"] == "int"
    parameters.write_text(LATER)
    done = run_kedro(project, "dolt", "rerun", row["run_id"])
    assert "No difference in the data." in done.stdout, done.stdout + done.stderr
    assert "The parameter new_since is new since, and left out." in done.stderr
    rerun = f"rerun/{row['run_id']}"
    seen = [r["seen"] for r in query(project, f"SELECT seen FROM seen_a AS OF '{rerun}' ORDER BY id")]
    assert "('integer_keys', {0: 'setosa', 1: 'virginica'})" in seen and "('whole', 1.0)" in seen
    assert "('zero', -0.0)" in seen and "('big', 12345678901234567890)" in seen and len(seen) == 28
    now = query(project, f"SELECT params, param_types FROM kedro_runs AS OF '{rerun}' ORDER BY started DESC")[
        0
    ]
    assert now == {"params": row["params"], "param_types": row["param_types"]}


@pytest.mark.thorough
def test_configuration_from_elsewhere(project: Path, tmp_path: Path) -> None:
    shutil.move(project / "conf", tmp_path / "elsewhere")
    source = f"--conf-source={tmp_path / 'elsewhere'}"
    run_kedro(project, "run", source)
    for args in (["runs"], ["compare", "HEAD~1"], ["lineage", "example_metrics"], ["status"]):
        run_kedro(project, "dolt", *args, source)
    run_kedro(project, "dolt", "blame", "example_metrics", source)
    (row,) = query(project, "SELECT run_id FROM kedro_runs")
    assert "No difference in the data." in run_kedro(project, "dolt", "rerun", row["run_id"], source).stdout
    done = run_kedro(project, "dolt", "runs", "--conf-source=nowhere", check=False)
    assert done.returncode == 2 and "does not exist" in done.stderr


def wanted(run: Run, today: dict[str, object], secrets: set[str] = frozenset()) -> Parameters:  # type: ignore[assignment]
    return parameters_of(run, "", lambda given: {**today, **given}, secrets)


def test_what_cannot_be_restored_is_named() -> None:
    types = {"params": {"/token": "secret", "/model": "object"}, "runtime_params": {}}
    run = Run("x", params={"token": "***", "model": "Model(3)"}, param_types=types)
    with pytest.raises(
        ConfigError, match="the journal does not hold all of model, token, which was a secret"
    ):
        wanted(run, {"token": "other"})
    secret = Run("x", params={"token": "***"}, param_types=types)
    assert wanted(secret, {"token": "hunter2"}, {"hunter2"}).params == {"token": "hunter2"}
    # A stranger's journal does not make the configuration look up the environment.
    run = Run("x", runtime_params={"a": "${oc.env:HOME}"}, param_types={})
    with pytest.raises(ConfigError, match="does not hold all of a, which"):
        wanted(run, {})


def test_a_run_of_an_older_version() -> None:
    run = Run("x", params={"rate": 1, "keys": {"0": "a"}, "depth": 3})
    message = 'Update data from Kedro run x with params {"depth": 3, "dolt_branch": "b"}\n\nPipeline: p'
    found = parameters_of(run, message, lambda given: {"rate": 1.0, "keys": {0: "b"}, **given}, ())
    assert found.params == {"rate": 1.0, "keys": {0: "a"}, "depth": 3} and found.runtime == {"depth": 3}
    assert isinstance(found.params["rate"], float)
    assert found.warnings[0].startswith("The journal is of an older version")


def test_a_branch_that_could_not_be_prepared_is_deleted(
    dolt_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    initialise(tmp_path / "data", [])
    with Database(tmp_path, Settings()).serving() as repository:
        with repository.on() as cursor:
            base = repository.head("main")
            cursor.execute("CREATE TABLE t (id INT PRIMARY KEY)")
            cursor.execute("CALL DOLT_COMMIT('-Am', 'A table')")
            hashes = repository.table_hashes("main", ["t"])
        edges = [Edge("n", "t", "load", "t", None, hashes["t"])]

        def refuse(*args: object) -> None:
            raise ConfigError("the cause")

        monkeypatch.setattr(Repository, "take_tables", refuse)
        with (
            pytest.raises(ConfigError, match="the cause"),
            starting_branch(repository, Run("r", base=base), edges, "main"),
        ):
            pass
        assert repository.branches() == {"main"}
        for strange, match in (
            (Run("r", base=base, environment="../x"), r"names the environment \.\./x, which is not"),
            (Run("r", base=base, filters={"runner": "x"}), "the journal names runner as a part of it"),
            (Run("r", base=base, filters={"tags": ["\x1b"]}), r"the journal names \\x1b as a part of it"),
            (Run("r", base=base, pipelines=["a\x1b"]), "as a part of it"),
        ):
            with pytest.raises(ConfigError, match=match), starting_branch(repository, strange, [], "main"):
                pass


@pytest.mark.usefixtures("first_run")
def test_a_run_of_a_strangers_journal_reads_no_device(project: Path) -> None:
    insert = (
        "INSERT INTO kedro_lineage (run_id, node, dataset, direction, file, content_hash) "
        "SELECT run_id, 'n', '{0}', 'load', '{0}', 'sha256:0' FROM kedro_runs"
    )
    for file in ("/dev/zero", "/", ".."):
        dolt(project, "sql", "-q", insert.format(file))
    dolt(project, "sql", "-q", "CALL DOLT_COMMIT('-Am', 'Strange')")
    assert "What the last run read is as it was." in run_kedro(project, "dolt", "status").stdout
    assert branches(project) == ["main"]
