"""What the ``kedro dolt`` commands say when something is the matter."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pymysql
import pytest
from conftest import dolt, run_kedro, start_kedro
from helpers import branches, break_node, query, server_is_running

COMMANDS = (
    "init", "runs", "show", "compare", "report", "rerun", "adopt", "publish", "lineage", "blame", "status",
    "server", "sql",
)  # fmt: skip


def say(project: Path, *args: str, code: int = 0) -> str:
    """What the command prints: its results, then what it says of them."""
    done = run_kedro(project, "dolt", *args, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and " INFO " not in done.stdout
    return done.stdout + done.stderr


def sql(project: Path, statement: str) -> None:
    dolt(project, "sql", "-q", statement)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(no_runs: Path, command: str) -> None:
    output = say(no_runs, command, "--help")
    assert f"Example: kedro dolt {command}" in output


@pytest.fixture(scope="module")
def no_runs(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has not run; not to be changed."""
    return Path(shutil.copytree(generated, tmp_path_factory.mktemp("no_runs") / "iris-dolt"))


@pytest.fixture(scope="module")
def two_runs(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two runs, of which the first is tagged ``v1``; not to be changed."""
    project = Path(shutil.copytree(generated, tmp_path_factory.mktemp("two_runs") / "iris-dolt"))
    run_kedro(project, "run")
    dolt(project, "tag", "v1")
    run_kedro(project, "run", "--params=example_test_data_ratio=0.3")
    return project


def ids(project: Path) -> list[str]:
    """The ids of the runs, the first run first."""
    return [row["run_id"] for row in query(project, "SELECT run_id FROM kedro_runs ORDER BY 1")]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["runs"], 0, "There are no runs on main: `kedro run` makes one."),
        (["status"], 0, "Last run  none"),
        (["compare"], 1, "There are no runs on main to compare"),
        (["report"], 1, "There are no runs on main to compare"),
        (["rerun", "x"], 1, "x names no run, commit, branch or tag: see"),
        (["rerun", "HEAD"], 1, "HEAD is not a run"),
        (["show", "HEAD"], 1, "HEAD is not a run"),
        (["lineage", "x"], 1, "No run has saved a dataset x, and there is no table of that name"),
        (["blame", "x"], 1, "There is no table x on main"),
        (["runs", "--branch=x"], 1, "There is no branch x"),
    ],
)
def test_a_repository_without_runs_is_said_to_have_none(
    no_runs: Path, args: list[str], code: int, words: str
) -> None:
    assert words in say(no_runs, *args, code=code)
    assert not server_is_running(no_runs)


def test_the_runs_of_a_repository_without_runs_are_an_empty_list(no_runs: Path) -> None:
    assert run_kedro(no_runs, "dolt", "runs", "--json").stdout == "[]\n"


def test_lineage_ends_at_a_commit_that_is_not_a_run(no_runs: Path) -> None:
    tree = say(no_runs, "lineage", "example_iris_data")
    assert "no run; commit" in tree and "Import the iris data set" in tree


@pytest.mark.usefixtures("first_run")
def test_one_run_is_not_compared(project: Path) -> None:
    assert "There are not two runs on main to compare" in say(project, "compare", code=1)


@pytest.mark.thorough
def test_a_run_is_named_by_the_beginning_of_its_id_if_no_other_begins_so(two_runs: Path) -> None:
    first, second = ids(two_runs)
    assert f"2 is the beginning of several runs' ids: {first}, {second}." in say(
        two_runs, "compare", "2", code=1
    )
    assert "is the beginning of several" not in say(two_runs, "compare", first[:-2])


@pytest.mark.thorough
def test_a_run_is_named_by_its_commit_a_tag_or_a_reference(two_runs: Path) -> None:
    first, second = ids(two_runs)
    commit = query(two_runs, "SELECT hashof('HEAD~1') AS h")[0]["h"]
    for name in (commit, commit[:8], "v1", "HEAD~1", "main~1"):
        found = json.loads(run_kedro(two_runs, "dolt", "compare", name, second, "--json").stdout)
        assert found["old"]["commit"] == commit and found["old"]["run"]["run_id"] == first, name


def test_a_report_is_one_file_that_needs_nothing_else(two_runs: Path, tmp_path: Path) -> None:
    first, second = ids(two_runs)
    file = tmp_path / "new" / "review.html"
    assert run_kedro(two_runs, "dolt", "report", f"--output={file}").stdout == f"{file}\n"
    page = file.read_text("utf-8")
    assert all(word in page for word in (first, second, "Checks: 2 passed", "example_test_data_ratio"))
    # The pipeline: an input that is the same, a table with more rows, a node.
    for label in ("example_iris_data: unchanged", "example_test_x: changed", "report_accuracy: ran"):
        assert f"<title>{label}</title>" in page
    assert "15 → 45 rows" in page or "30 → 45 rows" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask() and list(file.parent.iterdir()) == [file]
    say(two_runs, "report", "v1", f"--output={file}", "--table=example_metrics")
    assert "example_metrics" in file.read_text("utf-8") and 'id="t1"' not in file.read_text("utf-8")


def _umask() -> int:
    os.umask(mask := os.umask(0))
    return mask


def test_a_report_replaces_no_file_of_yours(two_runs: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.html").write_text("mine")
    (tmp_path / "directory").mkdir()
    for name in ("notes.html", "directory"):
        words = f"{tmp_path / name} is there and is no report: name another file"
        assert words in say(two_runs, "report", f"--output={tmp_path / name}", code=1)
    assert (tmp_path / "notes.html").read_text() == "mine"


@pytest.mark.usefixtures("first_run")
def test_a_report_says_which_uncommitted_edits_it_leaves_out_as_compare_does(project: Path) -> None:
    assert "uncommitted" not in say(project, "report")
    assert "uncommitted" not in (project / "report.html").read_text("utf-8")
    sql(project, "UPDATE example_iris_data SET species = 'setosa'")
    note = "Note: example_iris_data has uncommitted edits on main, which are not looked at here"
    assert note in say(project, "compare", "HEAD~1") and note in say(project, "report")
    page = (project / "report.html").read_text("utf-8")
    assert "<bdi>example_iris_data</bdi> has uncommitted edits on <bdi>main</bdi>" in page


@pytest.mark.thorough
def test_the_first_run_and_a_failed_one_are_reviewed_against_what_they_began_with(project: Path) -> None:
    break_node(project, "report_accuracy")
    run_kedro(project, "run")
    say(project, "report")
    page = (project / "report.html").read_text("utf-8")
    assert "example_metrics: new" in page and "example_iris_data: unchanged" in page
    run_kedro(project, "run", "--params=example_test_data_ratio=0.4", check=False, BREAK="1 / 0")
    (kept,) = (name for name in branches(project) if name.startswith("kedro/"))
    say(project, "report", "main", kept)
    page = (project / "report.html").read_text("utf-8")
    assert "Run failed, not published" in page and "ZeroDivisionError" in page
    assert "example_test_x: changed" in page and "example_metrics: unchanged" in page
    assert "make_predictions: ran" in page and "report_accuracy: failed" in page


def test_a_run_begins_at_the_commit_of_the_run_that_dolt_from_names(two_runs: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(two_runs, tmp_path / "iris-dolt"))
    first, _ = ids(project)
    run_kedro(project, "run", f"--params=dolt_branch=again,dolt_from={first},example_random_state=9")
    (run,) = query(project, "SELECT base FROM kedro_runs AS OF 'again' ORDER BY started DESC LIMIT 1")
    assert query(project, "SELECT hashof('v1') AS base") == [run]


@pytest.mark.thorough
def test_show_tells_of_a_run_what_the_list_tells_and_its_lineage(two_runs: Path) -> None:
    _, second = ids(two_runs)
    (listed,) = json.loads(run_kedro(two_runs, "dolt", "runs", "--limit=1", "--json").stdout)
    for name in (second, second[:-2], "HEAD", "main"):
        shown = json.loads(run_kedro(two_runs, "dolt", "show", name, "--json").stdout)
        assert len(shown.pop("lineage")) == 12
        assert {check["status"] for check in shown.pop("checks")} == {"passed"}
        assert shown == {k: listed[k] for k in listed if k != "code_changed"}
    assert f"Run       {second}" in say(two_runs, "show", "HEAD")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["compare", "--table=nope"], 1, "There is no table nope in"),
        (["runs", "--sort=nope"], 1, "No run has the metric nope: there is accuracy, test_rows."),
        (["compare", "--json", "--md"], 2, "exclude each other"),
        (["runs", "--chart=nope"], 1, "No run has the metric nope: there is accuracy, test_rows."),
        (["runs", "--json", "--csv"], 2, "exclude each other"),
        (
            ["blame", "example_test_y", "--where=species=x"], 1,
            "species is not a column of the primary key of example_test_y: sample_id is.",
        ),
        (["blame", "example_test_y", "--where=sample_id=999"], 0, "example_test_y has no such row."),
    ],
)  # fmt: skip
def test_what_is_not_there_or_cannot_be_is_named(
    two_runs: Path, args: list[str], code: int, words: str
) -> None:
    assert words in say(two_runs, *args, code=code)


def test_blame_finds_a_row_by_its_key(two_runs: Path) -> None:
    assert "sample_id is not a column" not in say(two_runs, "blame", "example_test_x", "--where=sample_id=1")


@pytest.mark.usefixtures("first_run")
def test_tables_without_a_key_or_that_are_gone(project: Path) -> None:
    sql(
        project,
        "CREATE TABLE `key less` (a INT, `commit` TEXT); INSERT INTO `key less` VALUES (1, 'x'), (1, 'x')",
    )
    sql(project, "CREATE TABLE keyed (a INT PRIMARY KEY, b INT); INSERT INTO keyed VALUES (1, 1)")
    sql(project, "CALL DOLT_COMMIT('-Am', 'Two tables')")
    sql(project, "UPDATE `key less` SET `commit` = 'a\\n\\u001b[31m|b' LIMIT 1; DROP TABLE example_metrics")
    sql(project, "ALTER TABLE keyed DROP PRIMARY KEY; ALTER TABLE keyed ADD PRIMARY KEY (a, b)")
    sql(project, "CALL DOLT_COMMIT('-Am', 'Change them')")
    output = say(project, "compare", "HEAD~1", "HEAD")
    assert "It has no primary key: a changed row is one removed and one added." in output
    assert "Its primary key is another one: the rows cannot be compared." in output
    assert re.search(r"example_metrics +dropped", output), output
    assert "\x1b" not in output and "a\\n" in output
    assert "key less has no primary key, so that its rows have no history" in say(
        project, "blame", "key less", code=1
    )
    page = say(project, "compare", "HEAD~1", "HEAD", "--md")
    assert "a\\\\n" in page and "\\|b" in page
    found = json.loads(run_kedro(project, "dolt", "compare", "HEAD~1", "HEAD", "--json").stdout)
    tables = {table["table"]: table for table in found["tables"]}
    assert tables["key less"]["has_key"] is False and tables["keyed"]["comparable"] is False
    assert tables["example_metrics"]["dropped"] is True
    assert found["metrics"]["test_rows"] == {"old": 30.0, "new": None}


@pytest.mark.thorough
@pytest.mark.usefixtures("first_run")
def test_a_dirty_working_set_is_said_and_not_looked_at(project: Path) -> None:
    run_kedro(project, "run", "--params=example_test_data_ratio=0.3")
    assert "What the last run read is as it was." in say(project, "status")
    sql(project, "UPDATE example_iris_data SET species = 'virginica' WHERE sample_id = 1")
    sql(project, "INSERT INTO kedro_runs (run_id, started) VALUES ('zzz', now())")
    output = say(project, "compare")
    assert "Note: example_iris_data, kedro_runs has uncommitted edits on main" in output
    found = json.loads(run_kedro(project, "dolt", "compare", "--json").stdout)
    assert "example_iris_data" not in {table["table"] for table in found["tables"]}
    assert "zzz" not in say(project, "runs")
    output = say(project, "status")
    assert "example_iris_data ~1" in output and "Changed since the last run read them" in output
    first = query(project, "SELECT run_id FROM kedro_runs ORDER BY started")[0]["run_id"]
    assert "No difference in the data." in say(project, "rerun", first)
    assert query(project, "SELECT table_name FROM dolt_status ORDER BY 1") == [
        {"table_name": "example_iris_data"},
        {"table_name": "kedro_runs"},
    ]


@pytest.mark.thorough
def test_rerun_says_what_is_not_as_it_was(project: Path) -> None:
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for args in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *args], cwd=project, check=True)
    run_kedro(project, "run")
    (run_id,) = (row["run_id"] for row in query(project, "SELECT run_id FROM kedro_runs"))
    nodes = next((project / "src").glob("*/pipelines/iris/nodes.py"))
    nodes.write_text(nodes.read_text().replace("float(len(both))", "float(len(both) + 1)"))
    parameters = project / "conf" / "base" / "parameters.yml"
    parameters.write_text(parameters.read_text().replace("0.2", "0.4") + "\nlater: 1\n")
    done = run_kedro(project, "dolt", "rerun", run_id)
    output = done.stdout + done.stderr
    assert "Warning: The code is not the same: that run's is" in output and "-dirty." in output
    assert "Warning: The parameter later is new since, and left out." in output
    # The old ratio is used, and what the changed code changed is what differs.
    assert (
        re.search(r"~ +test_rows +30 → 31", output)
        and "example_predictions" not in done.stdout.partition("Tables")[2]
    )
    nodes.write_text("raise ImportError\n")
    done = run_kedro(project, "dolt", "rerun", run_id, check=False)
    assert done.returncode == 1
    assert f"rerun/{run_id}-2" not in dolt(project, "branch") and not server_is_running(project)


def test_an_older_journal_is_read(project: Path) -> None:
    sql(project, "CREATE TABLE kedro_runs (run_id VARCHAR(80) PRIMARY KEY, status VARCHAR(16))")
    sql(project, "INSERT INTO kedro_runs VALUES ('old', 'succeeded')")
    sql(project, "CALL DOLT_COMMIT('-Am', 'Update data from Kedro run old with params {}')")
    assert "succeeded" in say(project, "runs")
    assert "The journal does not say where run old began" in say(project, "rerun", "old", code=1)
    sql(project, "DROP TABLE kedro_runs; CREATE TABLE kedro_runs (a INT PRIMARY KEY)")
    sql(project, "INSERT INTO kedro_runs VALUES (1)")
    sql(project, "CALL DOLT_COMMIT('-Am', 'Mine')")
    assert "kedro_runs is not kedro-dolt's journal: it has no column run_id" in say(project, "runs", code=1)


@pytest.mark.parametrize(
    "args",
    [["runs"], ["compare"], ["lineage", "example_metrics"], ["blame", "example_test_x"], ["status"]],
    ids=lambda args: args[0],
)
def test_piped_output_has_no_colours_and_no_cut_columns(
    two_runs: Path, args: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    monkeypatch.delenv("NO_COLOR")
    output = run_kedro(two_runs, "dolt", *args).stdout
    assert "\x1b" not in output and "…" not in output
    if args == ["runs"]:
        header, *lines = output.splitlines()
        assert header.startswith("run_id\tcommit\tstarted\t") and len(lines) == 2
        assert all("example_train_y" in line for line in lines)


@pytest.mark.thorough
def test_the_server_lets_the_named_user_in_until_it_is_stopped(project: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        process = start_kedro(project, "dolt", "server", "--user=ada")
        assert process.stdout
        printed = ""
        while "Ctrl-C stops it" not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        port = int(re.search(r"127\.0\.0\.1:(\d+), for this machine only", printed)[1])  # type: ignore[index]
        password = re.search(r"Password +(\S+)", printed)[1]  # type: ignore[index]

        def log_in(user: str, secret: str, port: int = port) -> int:
            with pymysql.connect(
                host="127.0.0.1", port=port, user=user, password=secret, database="data"
            ) as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT COUNT(*) FROM `data/main`.example_iris_data")
                return int(cursor.fetchone()[0])  # type: ignore[index]

        assert log_in("ada", password) == 150
        for user, secret in (("ada", ""), ("ada", "no"), ("root", ""), ("", "")):
            with pytest.raises(pymysql.err.OperationalError, match=r"Access denied|No authentication"):
                log_in(user, secret)
        assert (
            password not in subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout
        )
        run_kedro(project, "run", f"--params=example_random_state={number + 10}")
        assert process.poll() is None and log_in("ada", password) == 150
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == (0 if number != signal.SIGKILL else -signal.SIGKILL)
        assert server_is_running(project) == (number == signal.SIGKILL)
    assert not [row for row in query(project, "SELECT User FROM mysql.user") if row["User"] == "ada"]
    for file in (project / "data" / ".doltcfg").glob("*.db"):
        assert not file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH)


def test_the_server_refuses_a_name_that_it_cannot_use(project: Path) -> None:
    assert "is not a valid name of a user" in say(project, "server", "--user=a'b", code=1)
    sql(project, "CREATE USER bob@localhost IDENTIFIED BY 'his own'")
    assert "There is a SQL user bob already" in say(project, "server", "--user=bob", code=1)
    assert not server_is_running(project)
