"""A run is one commit: what a user sees of it with Dolt's own commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import (
    TABLES,
    branches,
    break_node,
    diff_types,
    hashes,
    messages,
    query,
    server_is_running,
)


def run(project: Path, *params: str, check: bool = True, **env: str) -> str:
    args = ["--params", ",".join(params)] if params else []
    done = run_kedro(project, "run", *args, check=check, **env)
    return done.stdout + done.stderr


def test_two_runs_are_two_commits_that_differ_by_rows(project: Path) -> None:
    run(project, "example_test_data_ratio=0.1")
    output = run(project, "example_test_data_ratio=0.2")
    newest, older, *rest = messages(project)
    assert newest.startswith("Update data from Kedro run 2") and newest.endswith(
        '{"example_test_data_ratio": 0.2}'
    )
    assert older.endswith('with params {"example_test_data_ratio": 0.1}')
    assert rest == ["Import the iris data set", "Initialize data repository"]
    for table in ("example_test_x", "example_test_y", "example_predictions"):
        assert diff_types(project, table) == {"added": 15}
    for table in ("example_train_x", "example_train_y"):
        assert diff_types(project, table) == {"removed": 15}
    summary = query(project, "SELECT * FROM dolt_diff_summary('HEAD~1', 'HEAD')")
    assert {(row["diff_type"], row["schema_change"]) for row in summary} == {("modified", "false")}
    assert (
        "Committed" in output
        and "example_test_x +15" in output
        and output.rstrip().endswith("kedro dolt compare")
    )
    assert not server_is_running(project)


def test_a_run_needs_no_pyarrow(project: Path, tmp_path: Path) -> None:
    # It is in the environment of the tests, and not among our requirements.
    (tmp_path / "pyarrow.py").write_text("raise ImportError('there is no PyArrow here')\n")
    environment = {"PYTHONPATH": str(tmp_path)}

    run_kedro(project, "run", fork=False, **environment)
    ratio = "example_test_data_ratio=0.3"
    incremental = ("--runner=kedro_doltdb.IncrementalRunner", "--params", ratio)
    run_kedro(project, "run", *incremental, fork=False, **environment)

    assert "example_metrics" in run_kedro(project, "dolt", "compare", fork=False, **environment).stdout


def test_parameters_that_were_edited_are_in_the_commit_as_well(project: Path) -> None:
    output = run(project)
    assert messages(project)[0].endswith(" with params {}")
    commit = query(project, "SELECT hashof('main') AS h")[0]["h"][:10]
    # Nothing to compare with yet.
    assert output.rstrip().endswith(f"kedro dolt show {commit}")
    parameters = project / "conf" / "base" / "parameters.yml"
    parameters.write_text(
        parameters.read_text().replace("0.2", "0.3") + f"\nmodel: {{depth: 3}}\nprompt: {'x' * 500}\n"
    )
    run(project, "model.depth=4")
    (row,) = query(project, "SELECT message FROM dolt_log LIMIT 1")
    first, _, whole, *_ = row["message"].splitlines()
    assert '"example_test_data_ratio": 0.3' in first and '"model": {"depth": 4}' in first
    assert json.loads(whole.removeprefix("Params: ")) == {
        "example_test_data_ratio": 0.3, "model": {"depth": 4}, "prompt": "x" * 500,
    }  # fmt: skip
    output = run(project, "dolt_branch=other,example_random_state=5")
    assert output.rstrip().endswith("kedro dolt compare other~1 other")


def test_every_table_has_its_key_and_its_right_types(project: Path) -> None:
    run(project)
    for table in TABLES:
        keys = query(
            project,
            f"SELECT column_name AS k FROM information_schema.key_column_usage WHERE table_name = '{table}'",
        )
        assert [row["k"] for row in keys] == ["metric" if table == "example_metrics" else "sample_id"]


def test_the_same_run_twice_is_one_commit(project: Path) -> None:
    run(project, "example_test_data_ratio=0.1")
    before, log = hashes(project), messages(project)
    output = run(project, "example_test_data_ratio=0.1")
    assert "changed no data on main. No commit was made" in output
    assert (hashes(project), messages(project)) == (before, log)
    assert "nothing to commit, working tree clean" in dolt(project, "status")
    assert branches(project) == ["main"]


@pytest.mark.usefixtures("first_run")
def test_one_edited_label_changes_that_row_and_what_depends_on_it(project: Path) -> None:
    row = query(project, "SELECT sample_id, species FROM example_train_y ORDER BY sample_id LIMIT 1")[0]
    dolt(
        project,
        "sql",
        "-q",
        f"UPDATE example_iris_data SET species = 'rosa' WHERE sample_id = {row['sample_id']}",
    )
    dolt(project, "commit", "-a", "-m", "Correct a label")
    run(project)
    assert diff_types(project, "example_iris_data", "HEAD~2", "HEAD") == {"modified": 1}
    assert diff_types(project, "example_train_y") == {"modified": 1}
    for table in ("example_train_x", "example_test_x", "example_test_y"):
        assert diff_types(project, table) == {}
    neighbours = query(project, "SELECT * FROM example_predictions WHERE species = 'rosa'")
    assert diff_types(project, "example_predictions").get("modified", 0) == len(neighbours)


def test_the_message_tells_what_was_run_and_the_author_is_the_user(project: Path) -> None:
    dolt(project, "config", "--local", "--add", "user.name", "Ada Lovelace")
    dolt(project, "config", "--local", "--add", "user.email", "ada@example.com")
    run(project)
    run_kedro(
        project, "run", "--tags", "", "--to-nodes", "split_data", "--params", "example_test_data_ratio=0.3"
    )
    log = query(project, "SELECT committer, email, message FROM dolt_log('main') LIMIT 1")[0]
    assert (log["committer"], log["email"]) == ("Ada Lovelace", "ada@example.com")
    assert log["message"].splitlines()[2:] == [
        "Pipeline: __default__",
        "To nodes: split_data",
        "Environment: local",
    ] or (log["message"].splitlines()[2:] == ["Pipeline: __default__", "To nodes: split_data"])


def test_a_data_branch_is_created_from_the_current_one_and_nothing_is_checked_out(project: Path) -> None:
    run(project, "example_test_data_ratio=0.1")
    main = hashes(project)
    output = run(project, "example_test_data_ratio=0.3", "dolt_branch=yesterday_data")
    assert "to yesterday_data" in output
    assert "kedro dolt compare yesterday_data~1 yesterday_data" in " ".join(output.split())
    assert branches(project) == ["main", "yesterday_data"]
    assert query(project, "SELECT active_branch() AS b") == [{"b": "main"}]
    assert hashes(project) == main
    assert len(messages(project, "yesterday_data")) == 4
    run(project, "example_test_data_ratio=0.4", "dolt_branch=yesterday_data")
    assert len(messages(project, "yesterday_data")) == 5


@pytest.mark.parametrize("value", ["2024_11", "0123", "1e3", "true"])
def test_a_branch_that_is_not_text_is_refused_with_the_way_to_write_it(project: Path, value: str) -> None:
    output = run(project, f"dolt_branch={value}", check=False)
    assert "Error: dolt_branch must be text" in output and "Traceback" not in output
    assert branches(project) == ["main"]
    assert "to 2024_11" in run(project, 'dolt_branch="2024_11"')


@pytest.mark.parametrize("name", ["-d", "a..b", "x'; DROP TABLE t; --", 'a"b c', "kedro/mine", "ä", "a\\b"])
def test_a_branch_name_that_dolt_forbids_is_refused_and_leaves_nothing(project: Path, name: str) -> None:
    done = run_kedro(project, "run", "--params", f"dolt_branch={name}", check=False)
    assert done.returncode == 1
    why = "No run can publish to" if name.startswith("kedro/") else "is not a valid branch name"
    assert "Error:" in done.stderr and why in done.stderr and "Traceback" not in done.stderr
    assert branches(project) == ["main"]
    assert len(messages(project)) == 2


@pytest.mark.thorough
def test_a_run_can_begin_at_another_commit(project: Path) -> None:
    run(project, "example_test_data_ratio=0.1")
    dolt(project, "sql", "-q", "UPDATE example_iris_data SET species = 'rosa' WHERE sample_id = 1")
    dolt(project, "commit", "-a", "-m", "Correct a label")
    run(project, "example_test_data_ratio=0.2")
    run(project, "example_test_data_ratio=0.1", "dolt_branch=retry", "dolt_from=HEAD~2")
    assert messages(project, "retry") == messages(project)[2:]
    output = run(project, "dolt_from=nowhere", check=False)
    assert "Error: nowhere names no run, commit, branch or tag" in output


def test_uncommitted_edits_are_committed_apart(project: Path) -> None:
    dolt(project, "sql", "-q", "UPDATE example_iris_data SET species = 'rosa' WHERE sample_id = 1")
    run(project)
    newest, edits, *_ = messages(project)
    assert newest.startswith("Update data") and edits.startswith("Uncommitted edits found before Kedro run")
    assert diff_types(project, "example_iris_data", "HEAD~2", "HEAD~1") == {"modified": 1}
    assert diff_types(project, "example_iris_data") == {}


def test_an_uncommitted_rename_of_a_table_is_committed_apart(project: Path) -> None:
    dolt(project, "sql", "-q", "RENAME TABLE example_iris_data TO iris_data")
    catalog = project / "conf" / "base" / "catalog.yml"
    catalog.write_text(catalog.read_text().replace("table_name: example_iris_data", "table_name: iris_data"))
    assert "Committed the uncommitted edits of example_iris_data, iris_data on main" in " ".join(
        run(project).split()
    )
    assert query(project, "SELECT diff_type FROM dolt_diff_summary('HEAD~2', 'HEAD~1')") == [
        {"diff_type": "renamed"}
    ]
    assert query(project, "SELECT * FROM dolt_status") == []


def test_uncommitted_edits_can_be_refused(project: Path) -> None:
    settings = project / "conf" / "base" / "dolt.yml"
    settings.write_text(settings.read_text().replace("on_uncommitted: commit", "on_uncommitted: refuse"))
    dolt(project, "sql", "-q", "UPDATE example_iris_data SET species = 'rosa' WHERE sample_id = 1")
    output = run(project, check=False)
    assert "Error: example_iris_data has uncommitted edits on main" in output and "dolt commit -a" in output
    assert len(messages(project)) == 2 and branches(project) == ["main"]
    assert query(project, "SELECT species FROM example_iris_data WHERE sample_id = 1") == [
        {"species": "rosa"}
    ]


def test_a_failed_run_leaves_the_target_and_can_be_resumed(project: Path) -> None:
    run(project, "example_test_data_ratio=0.1")
    break_node(project, "make_predictions")
    before, log = hashes(project), messages(project)
    output = run(project, "example_test_data_ratio=0.3", check=False, BREAK="raise RuntimeError('broken')")
    assert "RuntimeError: broken" in output and "The run was not published: main is as it was" in output
    assert (hashes(project), messages(project)) == (before, log)
    assert [name for name in branches(project) if name.startswith("kedro/")]
    done = run_kedro(
        project, "run", "--from-nodes=make_predictions", "--params", "example_test_data_ratio=0.3"
    )
    assert "Resuming run" in done.stdout + done.stderr
    run(project, "example_test_data_ratio=0.3", "dolt_branch=full", "dolt_from=HEAD~1")
    assert hashes(project) == hashes(project, "full")


def test_a_resume_is_refused_when_the_data_changed_and_can_be_declined(project: Path) -> None:
    break_node(project, "make_predictions")
    run(project, check=False, BREAK="raise RuntimeError('broken')")
    dolt(project, "sql", "-q", "UPDATE example_iris_data SET species = 'rosa' WHERE sample_id = 1")
    dolt(project, "commit", "-a", "-m", "Correct a label")
    done = run_kedro(project, "run", "--from-nodes=make_predictions", check=False)
    assert "cannot be resumed: example_iris_data changed on main" in done.stderr
    assert "dolt_from=HEAD" in done.stderr and "Traceback" not in done.stderr
    done = run_kedro(
        project, "run", "--from-nodes=make_predictions", "--params", "dolt_from=HEAD", check=False
    )
    assert done.returncode != 0  # its inputs never were on main
    assert "Resuming" not in done.stdout + done.stderr


def test_a_published_run_ends_the_offer_to_resume(project: Path) -> None:
    break_node(project, "make_predictions")
    run(project, "example_test_data_ratio=0.3", check=False, BREAK="raise RuntimeError('broken')")
    run(project, "example_test_data_ratio=0.1")
    done = run_kedro(project, "run", "--from-nodes=make_predictions")
    assert "Resuming" not in done.stdout + done.stderr
    assert "changed no data" in done.stdout + done.stderr


@pytest.mark.thorough
def test_only_the_last_ten_failed_runs_are_kept(project: Path) -> None:
    break_node(project, "make_predictions")
    script = (
        "from pathlib import Path\n"
        "from kedro.framework.session import KedroSession\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "bootstrap_project(Path.cwd())\n"
        "for _ in range(12):\n"
        "    try:\n"
        "        with KedroSession.create() as session:\n"
        "            session.run()\n"
        "    except RuntimeError:\n"
        "        pass\n"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=project,
        check=True,
        capture_output=True,
        env={**os.environ, "BREAK": "raise RuntimeError('broken')"},
    )
    run(project)
    kept = [name for name in branches(project) if name.startswith("kedro/")]
    assert len(kept) == 10


@pytest.mark.thorough
def test_a_run_id_that_is_taken_gets_a_suffix(project: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from kedro.framework.session import KedroSession, session\n"
        "from kedro.framework.startup import bootstrap_project\n"
        "bootstrap_project(Path.cwd())\n"
        "session.generate_timestamp = lambda: '2026-01-01T00.00.00.000Z'\n"
        "with KedroSession.create() as run:\n"
        "    run.run()\n"
    )
    dolt(project, "checkout", "-b", "kedro/2026-01-01T00.00.00.000Z")
    dolt(project, "sql", "-q", "CREATE TABLE somebodys (id INT PRIMARY KEY); CALL DOLT_COMMIT('-Am', 'Mine')")
    dolt(project, "checkout", "main")
    subprocess.run([sys.executable, "-c", script], cwd=project, check=True, capture_output=True)
    assert messages(project)[0].startswith("Update data from Kedro run 2026-01-01T00.00.00.000Z-2 with")
    other = script.replace("create()", "create(runtime_params={'example_test_data_ratio': 0.5})")
    subprocess.run([sys.executable, "-c", other], cwd=project, check=True, capture_output=True)
    assert messages(project)[0].startswith("Update data from Kedro run 2026-01-01T00.00.00.000Z-3 with")
    assert query(project, "SELECT COUNT(*) AS n FROM kedro_runs") == [{"n": "2"}]
    assert branches(project) == ["kedro/2026-01-01T00.00.00.000Z", "main"]
