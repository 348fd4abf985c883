"""What a run has written is checked before it is published, under every runner, on every server."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import dolt, run_kedro, start_kedro
from helpers import (
    add_pipeline,
    branches,
    break_node,
    hashes,
    let_go,
    messages,
    query,
    start_slow_run,
)

RATIO = "example_test_data_ratio"
# Of three tenths there are 45 rows, of two tenths, which the first run has, 30.
FEW = {"example_predictions": {"max_rows_changed": 5}}
CHECKS = "SELECT table_name, check_name, severity, status, found, accepted_by, reason FROM kedro_checks"


def set_checks(project: Path, checks: dict[str, Any]) -> None:
    """Give the project these checks and no others."""
    config = project / "conf" / "base" / "dolt.yml"
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "checks": checks}))


def run(project: Path, *args: str, ratio: float | None = None, check: bool = True, **env: str) -> str:
    params = [] if ratio is None else [f"{RATIO}={ratio}"]
    given = [arg for arg in args if "=" in arg and not arg.startswith("-")]
    options = [arg for arg in args if arg not in given]
    wanted = ["--params", ",".join([*params, *given])] if params or given else []
    done = run_kedro(project, "run", *options, *wanted, check=check, **env)
    assert check or done.returncode != 0
    return " ".join((done.stdout + done.stderr).split())


def kept(project: Path) -> str:
    [run_id] = [name.removeprefix("kedro/") for name in branches(project) if name.startswith("kedro/")]
    return run_id


def results(project: Path, run_id: str, branch: str | None = None) -> dict[str, dict[str, str]]:
    at = f" AS OF '{branch}'" if branch else ""
    rows = query(project, f"{CHECKS}{at} WHERE run_id = '{run_id}'")
    return {f"{row['table_name']}.{row['check_name']}": row for row in rows}


@pytest.mark.parametrize("runner", ["SequentialRunner", "ThreadRunner", "ParallelRunner"])
def test_a_check_stops_the_publication_under_every_runner(project: Path, runner: str) -> None:
    set_checks(project, FEW)
    run(project)
    before, log = hashes(project), messages(project)
    output = run(project, f"--runner={runner}", ratio=0.3, check=False)
    run_id = kept(project)
    assert (
        f"Run {run_id} is not published, because a check failed: example_predictions.max_rows_changed. "
        "example_predictions.max_rows_changed: 15 of 30 rows changed; bound: 5; first rows: (sample_id="
    ) in output
    assert f"kedro dolt publish {run_id} --accept example_predictions.max_rows_changed --reason" in output
    assert hashes(project) == before and messages(project) == log
    assert hashes(project, f"kedro/{run_id}") != before
    row = results(project, run_id, f"kedro/{run_id}")["example_predictions.max_rows_changed"]
    assert (row["status"], row["severity"], row["found"]) == ("failed", "error", "15 of 30 rows changed")
    found = query(
        project, f"SELECT status, error FROM `data/kedro/{run_id}`.kedro_runs WHERE run_id = '{run_id}'"
    )
    assert found[0]["status"] == "refused"
    assert found[0]["error"].endswith("because a check failed: example_predictions.max_rows_changed.")


def test_a_refused_run_is_published_with_who_accepted_what_and_why(project: Path) -> None:
    set_checks(project, {**FEW, "example_test_*": {"max_rows_changed": 0}})
    run(project)
    run(project, ratio=0.3, check=False)
    run_id, log = kept(project), messages(project)
    computed = hashes(project, f"kedro/{run_id}")

    def publish(*args: str, check: bool = False) -> str:
        done = run_kedro(project, "dolt", "publish", run_id, *args, check=check)
        return done.stdout + done.stderr

    why = ("--reason", "More\ntests  are wanted")
    assert "because a check failed: example_predictions.max_rows_changed, example_test_x.max" in publish()
    output = publish("--accept", "example_predictions.max_rows_changed", *why)
    assert "because a check failed: example_test_x.max_rows_changed, example_test_y" in output
    assert "did you mean `max_rows_changed`?" in publish("--accept", "max_row_changed", *why)
    assert "--accept and --reason belong together" in publish("--accept", "max_rows_changed")
    assert messages(project) == log and kept(project) == run_id

    assert "Published" in publish("--accept", "max_rows_changed", *why, check=True)
    assert hashes(project) == computed and branches(project) == ["main"]
    first, *others = messages(project)
    assert first.startswith(f"Update data from Kedro run {run_id}") and others == log
    [row] = query(project, "SELECT message FROM dolt_log LIMIT 1")
    assert row["message"].count("Check accepted by ") == 3
    assert "(More tests are wanted): example_predictions.max_rows_changed: 15 of 30 rows" in row["message"]
    assert query(project, f"SELECT status FROM kedro_runs WHERE run_id = '{run_id}'") == [
        {"status": "succeeded"}
    ]
    for result in results(project, run_id).values():
        assert (result["status"], result["reason"]) == ("accepted", "More tests are wanted")
        assert "@" in result["accepted_by"]


def test_a_failure_is_accepted_beforehand(project: Path) -> None:
    set_checks(project, FEW)
    run(project)
    output = run(project, "dolt_accept=max_row_changed", ratio=0.3, check=False)
    assert "max_row_changed is not a check that could be accepted: did you mean `max_rows_changed`?" in output
    assert branches(project) == ["main"]
    run(project, "dolt_accept=example_predictions.max_rows_changed", ratio=0.3)
    [row] = query(project, "SELECT message FROM dolt_log LIMIT 1")
    assert "Check accepted by " in row["message"]
    [(name, result)] = [
        (name, row) for name, row in results(project, last_run(project)).items() if row["status"] != "skipped"
    ]
    assert (name, result["status"]) == ("example_predictions.max_rows_changed", "accepted")


def last_run(project: Path) -> str:
    return query(project, "SELECT run_id FROM kedro_runs ORDER BY started DESC LIMIT 1")[0]["run_id"]


def test_a_warning_stops_nothing_and_is_told(project: Path) -> None:
    warn = {"limit": 5, "severity": "warn"}
    set_checks(project, {"example_predictions": {"max_rows_changed": warn}, "nowhere": {"unchanged": True}})
    assert "No table is called nowhere, so that its checks in dolt.yml are not made" in run(project)
    output = run(project, ratio=0.3)
    assert "A check failed, which is a warning: example_predictions.max_rows_changed: 15 of 30" in output
    [row] = query(project, "SELECT message FROM dolt_log LIMIT 1")
    assert "Check failed, which is a warning: example_predictions.max_rows_changed" in row["message"]
    found = results(project, last_run(project))
    assert found["nowhere.unchanged"]["status"] == "skipped"
    assert found["example_predictions.max_rows_changed"]["severity"] == "warn"


@pytest.mark.thorough
def test_a_state_that_passed_is_not_read_again_until_it_changes(project: Path) -> None:
    name = "example_iris_data.not_null.species"
    set_checks(project, {"example_iris_data": {"not_null": "species"}})
    run(project)
    first = last_run(project)
    assert results(project, first)[name]["found"] == "0 such rows"
    run(project, ratio=0.3)
    assert results(project, last_run(project))[name]["found"] == f"as in run {first}"
    dolt(project, "sql", "-q", "UPDATE example_iris_data SET sepal_width = 9 WHERE sample_id = 1")
    run(project, ratio=0.4)
    assert results(project, last_run(project))[name]["found"] == "0 such rows"
    dolt(project, "sql", "-q", "UPDATE example_iris_data SET species = NULL WHERE sample_id = 7")
    output = run(project, ratio=0.3, check=False)
    assert f"{name}: 1 such rows; first rows: (sample_id=7 species=None, written by commit " in output


def test_a_misspelt_check_is_named_before_anything_is_computed(project: Path) -> None:
    set_checks(project, {"example_metrics": {"max_row_changed": 5}})
    for command in (["run"], ["catalog", "describe-datasets"], ["dolt", "runs"]):
        done = run_kedro(project, *command, check=False)
        output = " ".join((done.stdout + done.stderr).split())
        assert done.returncode != 0
        assert (
            "conf/*/dolt.yml: `checks.example_metrics.max_row_changed` is not a check: did you mean "
            "`checks.example_metrics.max_rows_changed`?"
        ) in output
        assert "Loading data" not in output


LIMITS = (
    "CREATE TABLE limits (name VARCHAR(9) PRIMARY KEY, n INT); INSERT INTO limits VALUES ('rows', 100); "
    "CALL DOLT_COMMIT('-Am', 'Allow so many')"
)
# It asks a table that the run neither reads nor writes.
WITHIN = {"sql": {"within": "SELECT n FROM limits WHERE n < (SELECT COUNT(*) FROM example_predictions)"}}


def test_what_is_published_is_what_was_checked(project: Path) -> None:
    """A target that moves after the audit is audited again on top."""
    dolt(project, "sql", "-q", LIMITS)
    set_checks(project, {"example_predictions": WITHIN, "limits": {"unchanged": True}})
    break_node(project, "report_accuracy")
    process = start_slow_run(project, "run")
    edit = "UPDATE limits SET n = 7; CALL DOLT_COMMIT('-am', 'Allow fewer')"
    dolt(project, "sql", "-q", edit)
    output = " ".join(let_go(project, process).split())
    # What others have changed in `limits` is not a change of the run.
    assert (
        "because a check failed: example_predictions.sql.within. example_predictions.sql.within: 1 rows"
        in output
    )
    assert "(n=7)" in output and "limits.unchanged:" not in output
    assert messages(project)[0] == "Allow fewer"
    run_id = kept(project)
    found = results(project, run_id, f"kedro/{run_id}")
    assert found["example_predictions.sql.within"]["status"] == "failed"
    dolt(project, "sql", "-q", "UPDATE limits SET n = 50; CALL DOLT_COMMIT('-am', 'Allow more')")
    run_kedro(project, "dolt", "publish", run_id)
    assert messages(project)[:2] == [messages(project)[0], "Allow more"] and branches(project) == ["main"]
    assert results(project, run_id)["example_predictions.sql.within"]["status"] == "passed"


OTHER = """
import pandas as pd
from kedro.pipeline import Pipeline, node


def make() -> pd.DataFrame:
    return pd.DataFrame({"id": [1, 2]})


def create_pipeline(**kwargs: object) -> Pipeline:
    return Pipeline([node(make, None, "other", name="make_other")])
"""
OTHER_ENTRY = """
other:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: other
  save_args:
    if_exists: replace
    method: ${dolt.bulk_load:id}
"""


@pytest.mark.thorough
def test_of_two_runs_at_once_one_is_refused_and_the_other_publishes(project: Path) -> None:
    add_pipeline(project, "other", OTHER, OTHER_ENTRY)
    set_checks(project, {"other": {"row_count": 3}})
    break_node(project, "report_accuracy")
    process = start_slow_run(project, "run", "--pipeline", "iris")
    output = run(project, "--pipeline=other", check=False)
    assert "other.row_count: 2 rows; bound: [3, 3]" in output
    assert "is not published" not in let_go(project, process)
    assert messages(project)[0] == f"Update data from Kedro run {last_run(project)} with params {{}}"
    assert kept(project) != last_run(project)
    tables = {row["Tables_in_data"] for row in query(project, "SHOW TABLES")}
    assert "other" not in tables and "example_metrics" in tables


@pytest.mark.thorough
@pytest.mark.usefixtures("first_run")
def test_a_run_that_is_killed_during_the_audit_publishes_nothing(project: Path) -> None:
    before = hashes(project)
    set_checks(project, {"example_metrics": {"sql": {"slow": "SELECT SLEEP(5) FROM example_metrics"}}})
    process = start_kedro(project, "run", "--params", f"{RATIO}=0.3")
    deadline = time.monotonic() + 60
    while "EXECUTE" not in str(query(project, "SHOW FULL PROCESSLIST")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert hashes(project) == before
    set_checks(project, {})
    output = run(project, ratio=0.3)
    assert "was killed; what it wrote is kept on kedro/" in output
    run_id = kept(project)
    rows = query(project, f"SELECT status FROM `data/kedro/{run_id}`.kedro_runs WHERE run_id = '{run_id}'")
    assert rows == [{"status": "interrupted"}]
    assert "did not run to its end" in " ".join(
        run_kedro(project, "dolt", "publish", run_id, check=False).stderr.split()
    )


@pytest.mark.thorough
def test_half_a_run_does_not_come_in_by_the_back_door(project: Path) -> None:
    """A run that begins at what a failed one has left answers for that, too."""
    set_checks(project, FEW)
    run(project)
    break_node(project, "report_accuracy")
    run(project, ratio=0.3, check=False, BREAK="raise RuntimeError")
    failed = kept(project)
    # Of the new run itself nothing is forbidden: it only makes the metrics.
    options = ["--from-nodes=report_accuracy", "dolt_branch=trial", f"dolt_from=kedro/{failed}"]
    output = run(project, *options, ratio=0.3, check=False)
    assert f"The run begins at what run {failed} left, which was not published" in output
    assert "because a check failed: example_predictions.max_rows_changed" in output
    assert "trial" not in branches(project)
    run(project, *options, "dolt_accept=max_rows_changed", ratio=0.3)
    assert messages(project, "trial")[1].startswith(f"Kept from Kedro run {failed}")


def test_adopted_runs_are_checked_on_top_of_what_they_were_not_made_upon(project: Path) -> None:
    dolt(project, "sql", "-q", LIMITS)
    set_checks(project, {"example_predictions": WITHIN})
    run(project, "dolt_branch=experiment")
    run_id = query(project, "SELECT run_id FROM kedro_runs AS OF 'experiment'")[0]["run_id"]
    dolt(project, "sql", "-q", "UPDATE limits SET n = 7; CALL DOLT_COMMIT('-am', 'Allow fewer')")
    done = run_kedro(project, "dolt", "adopt", "experiment", check=False)
    assert f"experiment is not adopted: on top, a check of run {run_id} failed" in done.stderr
    assert messages(project)[0] == "Allow fewer" and branches(project) == ["experiment", "main"]
    dolt(project, "sql", "-q", "UPDATE limits SET n = 50; CALL DOLT_COMMIT('-am', 'Allow more')")
    run_kedro(project, "dolt", "adopt", "experiment")
    assert results(project, run_id)["example_predictions.sql.within"]["status"] == "passed"


@pytest.mark.thorough
def test_results_are_shown_with_the_runs(project: Path) -> None:
    warn = {"limit": 5, "severity": "warn"}
    set_checks(
        project, {"example_predictions": {"max_rows_changed": warn}, "example_test_x": {"unchanged": True}}
    )
    run(project)
    run(project, "dolt_accept=unchanged", ratio=0.3)
    second, first = json.loads(run_kedro(project, "dolt", "runs", "--json").stdout)
    assert (first["noted_checks"], second["noted_checks"]) == ([], ["accepted", "warning"])
    output = run_kedro(project, "dolt", "show", "HEAD").stdout
    assert "15 of 30 rows changed" in output and "accepted when the run was started" in output
    output = run_kedro(project, "dolt", "compare", "--md").stdout
    assert "1 warning, 1 accepted" in output and "example_test_x.unchanged" in output.replace("\\", "")
    compared = json.loads(run_kedro(project, "dolt", "compare", "--json").stdout)
    assert {result["status"] for result in compared["checks"]} == {"failed", "accepted"}


@pytest.mark.thorough
def test_check_needs_no_run(project: Path) -> None:
    set_checks(project, {})
    run(project)
    done = run_kedro(project, "dolt", "check")
    assert done.stdout == "" and "There are no checks: `kedro dolt check --suggest`" in done.stderr
    # 15 rows of the predictions are new, the accuracy is another.
    run(project, ratio=0.3)
    set_checks(project, {**FEW, "example_iris_data": {"not_null": "species", "unchanged": True}})
    done = run_kedro(project, "dolt", "check", check=False)
    assert done.returncode == 1 and "15 of 30 rows changed" in done.stdout
    assert run_kedro(project, "dolt", "check", "HEAD", "HEAD").returncode == 0
    done = run_kedro(project, "dolt", "check", "HEAD~1", "--json", check=False)
    found = json.loads(done.stdout)
    assert done.returncode == 1 and found["ok"] is False
    assert {result["check_name"]: result["status"] for result in found["checks"]} == {
        "max_rows_changed": "failed", "not_null.species": "passed", "unchanged": "passed",
    }  # fmt: skip
    assert messages(project)[0].endswith("0.3}") and "nothing to commit" in dolt(project, "status")

    # It names who has written a row that must not be there.
    dolt(project, "sql", "-q", "UPDATE example_iris_data SET species = NULL WHERE sample_id < 3")
    dolt(project, "commit", "-am", "Forget two labels")
    done = run_kedro(project, "dolt", "check", check=False)
    assert "(sample_id=2 species=None, written by commit " in " ".join(done.stdout.split())
    set_checks(project, {"example_predictions": {"between": {"sample_id": [1000, None]}}})
    done = run_kedro(project, "dolt", "check", check=False)
    assert f"written by {last_run(project)})" in done.stdout


@pytest.mark.thorough
def test_what_is_suggested_holds(project: Path) -> None:
    done = run_kedro(project, "dolt", "check", "--suggest")
    assert done.stdout == "" and "There are no runs on main to learn from" in done.stderr
    for ratio in (0.2, 0.3, 0.25):
        run(project, ratio=ratio)
    done = run_kedro(project, "dolt", "check", "--suggest")
    assert done.stdout.startswith("# Proposed from the last 3 runs on main")
    set_checks(project, yaml.safe_load(done.stdout)["checks"])
    found = json.loads(run_kedro(project, "dolt", "check", "--json").stdout)
    by_name = {f"{r['table_name']}.{r['check_name']}": r for r in found["checks"]}
    assert by_name["example_iris_data.unchanged"]["status"] == "passed"
    assert by_name["example_predictions.frozen_schema"]["status"] == "passed"
    assert by_name["example_predictions.accepted_values.species"]["bound"].count("setosa") == 1
    assert "example_metrics.max_change.accuracy" in by_name
    assert {result["status"] for result in found["checks"]} == {"passed"}


@pytest.mark.thorough
def test_a_run_is_run_again_with_its_checks_and_what_was_accepted(project: Path) -> None:
    set_checks(project, FEW)
    run(project)
    run(project, "dolt_accept=max_rows_changed", ratio=0.3)
    accepted = last_run(project)
    assert run_kedro(project, "dolt", "rerun", accepted).returncode == 0
    [branch] = [name for name in branches(project) if name.startswith("rerun")]
    again = query(project, f"SELECT run_id FROM kedro_runs AS OF '{branch}' ORDER BY started DESC LIMIT 1")
    result = results(project, again[0]["run_id"], branch)["example_predictions.max_rows_changed"]
    assert result["status"] == "accepted"


TEST = (
    "INSERT INTO dolt_tests VALUES ('few', 'guard', 'SELECT * FROM example_predictions', 'expected_rows', "
    "'<=', '40')"
)


@pytest.mark.thorough
@pytest.mark.usefixtures("first_run")
def test_the_tests_of_the_repository_count(project: Path) -> None:
    before = hashes(project)
    dolt(project, "sql", "-q", f"{TEST}; CALL DOLT_COMMIT('-Am', 'At most 40')")
    run(project, ratio=0.25)
    assert results(project, last_run(project))["dolt_tests.few"]["status"] == "passed"
    run(project)
    assert hashes(project) == before
    output = run(project, ratio=0.3, check=False)
    assert "dolt_tests.few: Assertion failed: expected_rows less than or equal to 40, got 45" in output
    run_id = kept(project)
    row = results(project, run_id, f"kedro/{run_id}")["dolt_tests.few"]
    # What the test says may be whatever the server can read, and the journal is pushed.
    assert (row["status"], row["found"]) == ("failed", "")
    assert hashes(project) == before
    done = run_kedro(
        project, "dolt", "publish", run_id, "--accept", "dolt_tests.few", "--reason", "More", check=False
    )
    assert done.returncode == 0, done.stderr
    assert query(project, "SELECT message FROM dolt_log LIMIT 1")[0]["message"].endswith(
        "(More): dolt_tests.few"
    )


@pytest.mark.thorough
@pytest.mark.usefixtures("first_run")
def test_what_dolt_refuses_to_commit_is_not_published_and_not_lost(project: Path) -> None:
    before = hashes(project)
    dolt(project, "sql", "-q", f"{TEST}; CALL DOLT_COMMIT('-Am', 'At most 40')")
    dolt(project, "sql", "-q", "SET PERSIST dolt_commit_verification_groups = 'guard'")
    # What Dolt refuses of its own accord is refused whatever is accepted.
    output = run(project, "dolt_accept=dolt_tests.few", ratio=0.3, check=False)
    assert "is not published: Dolt refused the commit: commit verification failed: few (" in output
    run_id = kept(project)
    assert hashes(project) == before
    rows = query(project, f"SELECT status FROM `data/kedro/{run_id}`.kedro_runs WHERE run_id = '{run_id}'")
    assert rows == [{"status": "refused"}]
    accept = ("--accept", "dolt_tests.few", "--reason", "More")
    done = run_kedro(project, "dolt", "publish", run_id, *accept, check=False)
    assert "Dolt refused the commit: commit verification failed" in done.stderr
    assert kept(project) == run_id and hashes(project) == before

    # Edits that break the test are committed apart, for they are the user's, and stop the next run.
    dolt(project, "sql", "-q", "DELETE FROM dolt_tests; INSERT INTO dolt_tests VALUES "
         "('none', 'guard', 'SELECT * FROM example_iris_data', 'expected_rows', '==', '0')")  # fmt: skip
    break_node(project, "report_accuracy")
    output = run(project, ratio=0.3, check=False, BREAK="raise RuntimeError")
    assert "Committed the uncommitted edits of dolt_tests on main apart" in output
    failed = next(name for name in branches(project) if name.startswith("kedro/") and run_id not in name)
    assert messages(project, failed)[0].startswith("Kept from Kedro run")

    # While there is no test of the group, Dolt commits nothing at all.
    dolt(project, "sql", "-q", "DELETE FROM dolt_tests")
    done = run_kedro(project, "dolt", "publish", run_id, check=False)
    assert "Dolt refused the commit: failed to run dolt_test_run for group guard" in done.stderr
    dolt(project, "sql", "-q", f"{TEST.replace('40', '90')}; CALL DOLT_COMMIT('-Am', 'At most 90')")
    run_kedro(project, "dolt", "publish", run_id)
    assert messages(project)[0].startswith(f"Update data from Kedro run {run_id}")


VALIDATOR = '''
"""What Kedro itself validates."""

import pandas as pd


class Few:
    def validate(self, data: pd.DataFrame) -> pd.DataFrame:
        if len(data) > 40:
            raise ValueError(f"{len(data)} predictions are too many")
        return data
'''


@pytest.mark.parametrize("runner", ["SequentialRunner", "ThreadRunner", "ParallelRunner"])
@pytest.mark.parametrize("kind", ["pandas.SQLTableDataset", "kedro_doltdb.DoltTableDataset"])
def test_kedros_own_validators_work_on_tables(project: Path, runner: str, kind: str) -> None:
    pytest.importorskip("kedro.validation.core", reason="a key of Kedro 1.7")
    package = next((project / "src").glob("*/settings.py")).parent
    (package / "validators.py").write_text(VALIDATOR)
    save = {"if_exists": "replace", "method": "${dolt.bulk_load:sample_id}"}
    entry = {
        "type": kind, "credentials": "dolt", "table_name": "example_predictions",
        "validator": {"class": f"{package.name}.validators.Few"},
        **({"save_args": save} if kind.startswith("pandas") else {"primary_key": "sample_id"}),
    }  # fmt: skip
    catalog = project / "conf" / "base" / "catalog.yml"
    before, _, after = catalog.read_text().partition("\nexample_predictions:\n")
    after = after.partition("\n\n")[2]
    catalog.write_text(f"{before}\n{after}\nexample_predictions: {json.dumps(entry)}\n")
    run(project)
    untouched, log = hashes(project), messages(project)
    output = run(project, f"--runner={runner}", ratio=0.3, check=False)
    assert "45 predictions are too many" in output
    assert hashes(project) == untouched and messages(project) == log and kept(project)
