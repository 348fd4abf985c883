"""``kedro_doltdb.open``: a project's data in a notebook or a script."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from conftest import dolt, run_kedro
from helpers import git, messages, query, server_is_running

BEGIN = """
import json, sys
import pandas as pd
import kedro_doltdb
data = kedro_doltdb.open()
def say(value): print("said", json.dumps(value, default=lambda number: number.item()))
"""


def script(directory: Path, code: str, begin: str = BEGIN) -> Any:
    """Run ``code`` in a process of its own, with ``data`` opened from ``directory``; return what it says."""
    done = subprocess.run(
        [sys.executable, "-c", begin + textwrap.dedent(code)],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.removeprefix("said ") for line in done.stdout.splitlines() if line.startswith("said ")]
    return json.loads(said[-1]) if said else None


@pytest.fixture
def ran(project: Path) -> Path:
    """The ``notebooks/`` of a project in git with two runs, the first of them tagged."""
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "Begin")
    run_kedro(project, "run", "--params=example_test_data_ratio=0.1")
    dolt(project, "tag", "v1.0")
    with open(project / "conf" / "base" / "parameters.yml", "a") as file:
        file.write("# Nothing new\n")
    git(project, "commit", "-qam", "Say so")
    run_kedro(project, "run", "--params=example_test_data_ratio=0.2")
    (project / "notebooks").mkdir(exist_ok=True)
    return project / "notebooks"


def test_datasets_runs_and_queries_from_notebooks(ran: Path) -> None:
    project = ran.parent
    said = script(
        ran,
        """
        old, new = data.load("example_metrics", at="v1.0"), data.load("example_metrics")
        runs, difference = data.runs(), data.compare("v1.0", "main")
        ids = list(runs.index)
        assert data.load("example_metrics", at=ids[1]).equals(old)
        assert data.load("example_metrics", at="HEAD~1").equals(old)
        assert data.load("example_metrics", at="HEAD").equals(new)
        assert data.load("kedro_runs", at=ids[1])["run_id"].tolist() == ids[1:]
        rows = data.sql("SELECT value FROM example_metrics WHERE metric = %s", ["test_rows"], at="v1.0")
        html = difference._repr_html_()
        assert all(word in html for word in ("v1.0", "example_test_data_ratio", "sample_id")), html
        assert difference.code["status"].to_dict() == {"conf/base/parameters.yml": "M"}
        assert "conf/base/parameters.yml" in html and runs["git_commit"].nunique() == 2
        metrics = kedro_doltdb.compare("v1.0", "main", tables=["example_metrics"])
        assert metrics.tables["new_rows"].to_dict() == {"example_metrics": 2}
        same = data.compare("main", "HEAD")
        assert same.tables.empty and "No difference" in str(same) and "No difference" in same._repr_html_()
        say([
            old.set_index("metric")["value"].to_dict(), new.set_index("metric")["value"].to_dict(),
            rows["value"].tolist(), str(rows["value"].dtype),
            runs["params.example_test_data_ratio"].tolist(), runs["metrics.test_rows"].tolist(),
            [str(dtype) for dtype in runs[["started", "seconds", "published"]].dtypes],
            difference.params.loc["example_test_data_ratio"].tolist(),
            difference.metrics.loc["test_rows"].tolist(),
            difference.tables.loc["example_train_x"].tolist(),
            difference.rows["example_metrics"].loc["test_rows", ("value", "new")],
            difference.rows["example_train_x"]["diff_type"].tolist(),
        ])
        """,
    )
    old, new, rows, dtype, ratios, metrics, types, params, metric, table, cell, removed = said
    assert old == {"accuracy": 1.0, "test_rows": 15.0} and new["test_rows"] == 30.0
    assert rows == [15.0] and dtype == "float64"
    assert ratios == [0.2, 0.1] and metrics == [30.0, 15.0]
    assert types[0].endswith("UTC]") and types[1:] == ["float64", "bool"]
    assert params == [0.1, 0.2] and metric == [15.0, 30.0, 15.0] and cell == 30.0
    assert table == [0, 15, 0, "", 135, 120] and removed == ["removed"] * 5
    assert not server_is_running(project)


@pytest.mark.thorough
def test_what_cannot_be_asked_is_one_clear_error_and_nothing_is_written(ran: Path) -> None:
    project = ran.parent
    with open(project / "conf" / "base" / "catalog.yml", "a") as file:
        file.write("\nraw:\n  type: pandas.CSVDataset\n  filepath: data/01_raw/iris.csv\n")
    before = [messages(project), query(project, "SELECT * FROM dolt_status")]
    errors = script(
        ran,
        """
        def error(function, *args, **kwargs):
            try:
                return str(function(*args, **kwargs))
            except kedro_doltdb.DoltError as refused:
                return refused.message
        say([
            error(data.load, "nope"),
            error(data.load, "raw"),
            error(data.load, "example_metrics", at="nope"),
            error(data.load, "example_metrics", at="HEAD~3"),
            error(data.sql, "DROP TABLE example_metrics"),
            error(data.sql, "CALL DOLT_RESET('--hard', 'HEAD~1')"),
            error(data.sql, "WITH x AS (SELECT 1) DELETE FROM example_metrics"),
            error(data.sql, "SELECT %s, %s", [1]),
            error(data.sql, "SELECT nope"),
            error(data.compare, "nope"),
            error(kedro_doltdb.open, "/"),
        ])
        """,
    )
    for said, expected in zip(
        errors,
        [
            "There is no table nope: conf/*/catalog.yml has the datasets",
            "The dataset raw is not in Dolt",
            "nope names no run, commit, branch or tag",
            "There is no table example_metrics at ",
            "Only queries can be sent here",
            "Only queries can be sent here",
            "Only queries can be sent here",
            "The query and its `params` do not fit",
            "Dolt refused: column",
            "nope names no run, commit, branch or tag",
            "/ is in no Kedro project",
        ],
        strict=True,
    ):
        assert said.startswith(expected)
    assert [messages(project), query(project, "SELECT * FROM dolt_status")] == before


@pytest.mark.thorough
def test_runs_go_on_beside_it_and_the_server_is_left(ran: Path) -> None:
    project = ran.parent
    said = script(
        ran,
        """
        import subprocess
        from kedro_doltdb.server.leases import is_held
        lock = "../data/.dolt/noms/LOCK"
        found = [is_held(lock)]
        before = len(data.runs())
        run = [sys.executable, "-m", "kedro", "run", "--params=example_test_data_ratio=0.3"]
        subprocess.run(run, cwd="..", check=True, capture_output=True)
        found += [len(data.runs()) - before, len(data.load("example_test_x")) == 45]
        found.append(is_held(lock))
        data.close()
        found += [is_held(lock), len(data.runs()) - before]
        with kedro_doltdb.open("../conf/base") as other:
            other.sql("SELECT 1")
            data.close()
            found.append(is_held(lock))
        found.append(is_held(lock))
        data.runs()
        say([bool(value) for value in found])
        """,
    )
    assert said == [False, True, True, True, False, True, True, False]
    assert not server_is_running(project)


@pytest.mark.thorough
def test_uncommitted_edits_are_read_without_at(ran: Path) -> None:
    dolt(ran.parent, "sql", "-q", "UPDATE example_metrics SET value = 7 WHERE metric = 'test_rows'")
    said = script(
        ran,
        """
        def rows(frame): return float(frame.set_index("metric")["value"]["test_rows"])
        say([rows(data.load("example_metrics")), rows(data.load("example_metrics", at="main"))])
        """,
    )
    assert said == [7.0, 30.0]


@pytest.mark.thorough
def test_every_kind_of_dataset_in_dolt_is_loaded_as_of(ran: Path) -> None:
    project = ran.parent
    (project / "conf" / "base" / "count.sql").write_text("SELECT COUNT(*) AS n FROM example_test_x")
    with open(project / "conf" / "base" / "catalog.yml", "a") as file:
        file.write(
            "\ncounted:\n  type: pandas.SQLQueryDataset\n  credentials: dolt\n"
            "  filepath: conf/base/count.sql\n"
            "'fast_{name}':\n  type: kedro_doltdb.DoltTableDataset\n  credentials: dolt\n"
            "  table_name: '{name}'\n  primary_key: sample_id\n"
            "cached:\n  type: kedro.io.CachedDataset\n  dataset:\n    type: pandas.SQLTableDataset\n"
            "    credentials: dolt\n    table_name: example_test_x\n"
        )
    said = script(
        ran,
        """
        counts = [int(data.load("counted", at=at)["n"][0]) for at in ("v1.0", None)]
        for name in ("example_test_x", "fast_example_test_x", "cached"):
            counts += [len(data.load(name, at=at)) for at in ("v1.0", None)]
        say(counts)
        """,
    )
    assert said == [15, 30] * 4

    dolt(
        project,
        "sql",
        "-q",
        "CREATE TABLE flags (id INT PRIMARY KEY, f BOOLEAN); INSERT INTO flags VALUES (1, 1)",
    )
    dolt(project, "sql", "-q", "CALL DOLT_COMMIT('-A', '-m', 'Flags'); UPDATE flags SET f = NULL")
    code = 'say([str(data.load("flags", at=at)["f"].dtype) for at in ("HEAD", None)])'
    assert script(ran, code) == ["bool", "boolean"]


@pytest.mark.thorough
def test_doltcli_works_on_the_repository(ran: Path) -> None:
    pytest.importorskip("doltcli")
    said = script(
        ran,
        """
        data.runs()
        say([data.doltcli.active_branch, len(data.doltcli.log())])
        """,
    )
    assert said == ["main", 4]


@pytest.mark.thorough
def test_doltcli_that_is_not_installed_is_one_clear_error(ran: Path) -> None:
    code = """
    sys.modules["doltcli"] = None
    try:
        data.doltcli
    except kedro_doltdb.ConfigError as error:
        say(error.message)
    """
    assert script(ran, code).startswith("doltcli is not installed: `pip install doltcli`")


@pytest.mark.thorough
def test_the_server_is_left_however_a_process_ends(ran: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        code = BEGIN + "data.runs(); print('there', flush=True); import time; time.sleep(600)"
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ran,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout and any(line == "there\n" for line in process.stdout)
        assert server_is_running(ran.parent)
        process.send_signal(number)
        assert process.wait(60) != 0
        assert not server_is_running(ran.parent)


def executed(notebook: Path) -> list[Any]:
    """Run a notebook in a kernel of its own, and return what each code cell shows: its last output."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.read(notebook, as_version=4)
    client = nbclient.NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(notebook.parent)}}
    )
    client.execute()
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    return [cell.outputs[-1] if cell.outputs else None for cell in cells]


@pytest.mark.thorough
def test_the_notebook_of_the_template(ran: Path) -> None:
    pytest.importorskip("nbclient")
    shown = executed(ran / "compare_two_runs.ipynb")
    results = [output for output in shown if output and output.output_type == "execute_result"]
    pages = [output["data"]["text/html"] for output in results]
    runs, difference, both, rows = pages
    assert "metrics.accuracy" in runs and "v1.0" not in runs
    assert "example_test_data_ratio" in difference and "<h4>Tables</h4>" in difference
    assert "value before" in both and "15.0" in both and "30.0" in both
    assert rows.count("added") == 5
    assert not server_is_running(ran.parent)


@pytest.mark.thorough
def test_sql_in_cells_and_lines(ran: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    sources = [
        "%load_ext kedro_doltdb",
        "%%dolt --at v1.0\nSELECT value\nFROM example_metrics WHERE metric = 'test_rows' -- $HOME {x}",
        "frame = %dolt SELECT value FROM example_metrics WHERE metric LIKE 'test%'\nprint(frame['value'][0])",
        "%dolt --at=v1.0 SELECT COUNT(*) AS n FROM example_test_x",
        "from kedro_doltdb.server.leases import is_held\nlock = '../data/.dolt/noms/LOCK'\n"
        "was = is_held(lock)\n%unload_ext kedro_doltdb\nprint(was, is_held(lock))",
        "%load_ext kedro_doltdb",
        "try:\n    get_ipython().run_line_magic('dolt', 'DROP TABLE example_metrics')\n"
        "except BaseException as error:\n    print(type(error).__name__, error)",
        "%%dolt\nSELECT 1 AS one",
    ]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), ran / "sql.ipynb")
    shown = executed(ran / "sql.ipynb")
    assert "15.0" in shown[1]["data"]["text/html"] and shown[2]["text"] == "30.0\n"
    assert ">15<" in shown[3]["data"]["text/html"]
    assert shown[4]["text"] == "True False\n"
    assert shown[6]["text"].startswith("UsageError Only queries can be sent here")
    # The last cell has joined a server again, which the end of the kernel leaves.
    assert not server_is_running(ran.parent)
