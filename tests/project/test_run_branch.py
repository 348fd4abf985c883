"""Whatever a run reads and writes is on the run's branch, and what it leaves is what it computed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import add_pipeline, branches, break_node, hashes, messages, query

RATIO = "example_test_data_ratio"
BROKEN = "raise RuntimeError('broken')"
CATALOG = """
'{name}_table':
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: {name}
  save_args: {{if_exists: replace, method: '${{dolt.bulk_load:id}}'}}
"""


def run(project: Path, *args: str, check: bool = True, **env: str) -> str:
    done = run_kedro(project, "run", *args, check=check, **env)
    return done.stdout + done.stderr


def script(project: Path, code: str) -> str:
    """Run Python in the project, with Kedro set up and ``run_with(**parameters)``, which runs a session."""
    setup = """
        from pathlib import Path
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project
        bootstrap_project(Path.cwd())

        def run_with(pipeline="__default__", **parameters):
            with KedroSession.create(Path.cwd(), runtime_params=parameters) as session:
                return session.run(pipeline_name=pipeline)
    """
    code = textwrap.dedent(setup) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def add_hooks(project: Path, code: str, *, first: bool = False) -> None:
    """Add a class ``Other`` of hooks to the project, registered before or after ours."""
    package = next((project / "src").glob("*/settings.py")).parent
    (package / "other.py").write_text(
        "from kedro.framework.hooks import hook_impl\n\n\n" + textwrap.dedent(code)
    )
    order = "(Other(), DoltHooks())" if first else "(DoltHooks(), Other())"
    with open(package / "settings.py", "a") as file:
        file.write(f"\nfrom .other import Other  # noqa: E402\n\nHOOKS = {order}\n")


def clean(project: Path, branch: str = "main") -> bool:
    return query(project, f"USE `data/{branch}`; SELECT * FROM dolt_status") == []


@pytest.mark.parametrize("name", ["data", pytest.param("DATA", marks=pytest.mark.thorough)])
def test_names_qualified_with_the_database_mean_the_runs_branch(project: Path, name: str) -> None:
    catalog = project / "conf" / "base" / "catalog.yml"
    catalog.write_text(
        catalog.read_text().replace(
            "table_name: example_test_y",
            f"table_name: example_test_y\n  load_args: {{schema: {name}}}\n"
            f"  save_args: {{if_exists: replace, schema: {name}}}",
        )
        + f"\nasked:\n  type: pandas.SQLQueryDataset\n  credentials: dolt\n"
        f"  sql: SELECT COUNT(*) AS n FROM `{name}`.example_test_y\n"
    )
    run(project)
    before = hashes(project)
    break_node(project, "report_accuracy")
    run(project, f"--params={RATIO}=0.5", check=False, BREAK=BROKEN)
    assert hashes(project) == before and clean(project)
    run(project, f"--params={RATIO}=0.4,dolt_branch=exp")
    assert hashes(project) == before and clean(project) and clean(project, "exp")
    assert query(project, "SELECT COUNT(*) AS n FROM example_test_y AS OF 'exp'") == [{"n": "60"}]
    add_pipeline(
        project,
        "ask",
        "from kedro.pipeline import Node, Pipeline\n\n\ndef see(asked):\n    assert asked['n'][0] == 60\n\n\n"
        "def create_pipeline(**kwargs):\n    return Pipeline([Node(see, 'asked', None, name='see')])\n",
        "",
    )
    run(project, "--pipeline=ask", "--params=dolt_branch=exp")


@pytest.mark.parametrize(
    "entry",
    [
        "sql: SELECT * FROM `data/main`.example_iris_data",
        "sql: select 1 from `Data/Main`.`example_iris_data`",
    ],
)
def test_a_query_that_names_a_branch_is_refused(project: Path, entry: str) -> None:
    add_pipeline(
        project,
        "ask",
        "from kedro.pipeline import Node, Pipeline\n\n\ndef see(asked):\n    pass\n\n\n"
        "def create_pipeline(**kwargs):\n    return Pipeline([Node(see, 'asked', None, name='see')])\n",
        f"\nasked:\n  type: pandas.SQLQueryDataset\n  credentials: dolt\n  {entry}\n",
    )
    output = run(project, "--pipeline=ask", check=False)
    assert "Error: The dataset asked names a branch (`data/...`)" in output and "Traceback" not in output
    assert branches(project) == ["main"]


@pytest.mark.thorough
def test_another_database_is_not_part_of_the_run_and_a_warning_says_so(project: Path) -> None:
    catalog = project / "conf" / "base" / "catalog.yml"
    text = "table_name: example_metrics\n  save_args:"
    assert text in catalog.read_text()
    catalog.write_text(catalog.read_text().replace(text, f"{text}\n    schema: elsewhere"))
    output = run(project, check=False)
    assert "example_metrics: another database than data, and no part of this run's commit" in output


LATE = """
    class Other:
        @hook_impl
        def after_context_created(self, context):
            self.context = context

        @hook_impl
        def before_pipeline_run(self, pipeline, catalog):
            from kedro_datasets.pandas import SQLTableDataset
            from kedro_doltdb.tables.bulk_load import bulk_load

            for name in pipeline.datasets():
                if name.startswith("late_") and name not in catalog:
                    catalog[name] = SQLTableDataset(
                        table_name=name, credentials=self.context.config_loader["credentials"]["dolt"],
                        save_args={"if_exists": "replace", "method": bulk_load("id")},
                    )
"""
LATE_PIPELINE = """
import pandas as pd
from kedro.pipeline import Node, Pipeline


def make():
    return pd.DataFrame({"id": [1, 2]})


def use(frame):
    return frame


def create_pipeline(**kwargs):
    return Pipeline([Node(make, None, "late_a", name="make"), Node(use, "late_a", "late_b", name="use")])
"""


def test_datasets_that_come_into_the_catalog_late_are_part_of_the_run(project: Path) -> None:
    add_hooks(project, LATE)
    add_pipeline(project, "late", LATE_PIPELINE, "")
    output = run(project, "--pipeline=late", "--params=dolt_branch=exp")
    assert "to exp: late_a +2, late_b +2" in output
    assert clean(project) and clean(project, "exp") and "late_a" not in dolt(project, "ls")
    edges = query(project, "SELECT table_name FROM kedro_lineage AS OF 'exp' WHERE content_hash IS NOT NULL")
    assert len(edges) == 3
    output = run(project, "--pipeline=late", "--runner=ParallelRunner", check=False)
    assert "This run began without Dolt" in output and clean(project)
    # Beside datasets that are known from the start:
    catalog = project / "conf" / "base" / "catalog.yml"
    catalog.write_text(catalog.read_text() + CATALOG.format(name="known").replace("known_table", "late_b"))
    assert "to main: known +2, late_a +2" in run(project, "--pipeline=late", "--runner=ParallelRunner")
    assert clean(project)


@pytest.mark.thorough
def test_what_a_run_returns_is_what_it_computed_and_can_only_be_read(project: Path) -> None:
    out = script(
        project,
        f"""
        def rows(dataset):
            return float(dataset.load().set_index("metric").loc["test_rows", "value"])

        first = run_with({RATIO}=0.3)["example_metrics"]
        second = run_with({RATIO}=0.5, dolt_branch="exp")["example_metrics"]
        third = run_with({RATIO}=0.4)["example_metrics"]
        fourth = run_with({RATIO}=0.4)["example_metrics"]
        print("rows", rows(first), rows(second), rows(third), rows(fourth))
        try:
            first.save(first.load())
        except Exception as error:
            print("refused", "read-only" in str(error))
        """,
    )
    assert "rows 45.0 75.0 60.0 60.0" in out and "refused True" in out
    assert clean(project) and clean(project, "exp")


@pytest.mark.parametrize("first", [True, False])
def test_other_hooks_see_the_runs_data_whatever_their_order(project: Path, first: bool) -> None:
    add_hooks(
        project,
        """
        class Other:
            @hook_impl
            def after_context_created(self, context):
                print("early", "example_metrics" in context.catalog)

            @hook_impl
            def after_pipeline_run(self, catalog):
                print("seen", len(catalog.load("example_test_y")))

            @hook_impl
            def on_pipeline_error(self, catalog):
                print("seen", len(catalog.load("example_test_y")))
        """,
        first=first,
    )
    break_node(project, "report_accuracy")
    output = run(project, f"--params={RATIO}=0.4,dolt_branch=exp")
    assert "early True" in output and "seen 60" in output
    assert "seen 45" in run(project, f"--params={RATIO}=0.3", check=False, BREAK=BROKEN)
    assert clean(project)


NESTED = """
import asyncio
from pathlib import Path

import pandas as pd
from kedro.framework.session import KedroSession
from kedro.pipeline import Node, Pipeline


def run_another():
    with KedroSession.create(Path.cwd()) as session:
        session.run(pipeline_name="inner")


async def run_later():
    run_another()


def outer_one():
    run_another()
    return pd.DataFrame({"id": [1]})


def outer_two(frame):
    asyncio.run(run_later())
    return frame


def inner():
    return pd.DataFrame({"id": [1, 2, 3]})


def create_pipeline(**kwargs):
    return Pipeline([
        Node(outer_one, None, "one_table", name="outer_one"),
        Node(outer_two, "one_table", "two_table", name="outer_two"),
    ])
"""


def test_a_run_inside_a_run_publishes_both(project: Path) -> None:
    catalog = "".join(CATALOG.format(name=name) for name in ("one", "two", "three"))
    add_pipeline(project, "outer", NESTED, catalog)
    inner = NESTED.partition("def create_pipeline")[0]
    inner += (
        'def create_pipeline(**kwargs):\n    return Pipeline([Node(inner, None, "three_table", name="i")])\n'
    )
    add_pipeline(project, "inner", inner, "")
    output = run(project, "--pipeline=outer")
    assert "to main: three +3" in output and "to main: one +1, two +1" in output
    assert clean(project) and branches(project) == ["main"]
    assert [message.startswith("Update data") for message in messages(project)[:3]] == [True, True, False]
    # What an outer node saves after an inner run is noted for the outer run, and goes with its record.
    assert list((project / "data" / ".dolt" / "kedro" / "runs").iterdir()) == []


def test_a_run_that_another_one_has_closed_is_never_a_success(project: Path) -> None:
    # The other one begins while Kedro's frames of the first are gone, as after an interruption in a notebook.
    out = script(
        project,
        """
        from kedro_doltdb.errors import DoltError
        from kedro_doltdb.run.dolt_run import DoltRun

        class Kept:
            pass

        def begin():
            session = KedroSession.create(Path.cwd())
            context = session.load_context()
            from kedro.framework.project import pipelines
            params = {"run_id": session.store["session_id"], "runtime_params": {}}
            return DoltRun.start(params, pipelines["__default__"], context.catalog), context.catalog

        run, catalog = begin()
        catalog.save("example_test_y", catalog.load("example_iris_data"))
        run_with(example_test_data_ratio=0.3)
        try:
            catalog.save("example_test_y", catalog.load("example_iris_data"))
        except Exception as error:
            print("save refused", "read-only" in str(error))
        for call in (run.commit, lambda: DoltRun.of(catalog)):
            try:
                call()
            except DoltError as error:
                print("run refused:", error.message)
        """,
    )
    assert (
        "save refused True" in out and out.count("run refused: This run was interrupted before its end") == 2
    )
    assert clean(project)
    assert query(project, "SELECT COUNT(*) AS n FROM example_test_y") == [{"n": "45"}]


@pytest.mark.thorough
def test_branches_of_unfinished_runs_are_not_targets_and_are_not_pruned_while_in_use(project: Path) -> None:
    break_node(project, "make_predictions")
    run(project, check=False, BREAK=BROKEN)
    (kept,) = [name for name in branches(project) if name.startswith("kedro/")]
    dolt(project, "checkout", kept)
    output = run(project, check=False)
    assert f"Error: No run can publish to {kept}" in output and "dolt checkout main" in output
    dolt(project, "checkout", "main")
    dolt(project, "branch", "KEDRO/x")
    assert "No run can publish to KEDRO/x" in run(project, "--params=dolt_branch=KEDRO/x", check=False)
    dolt(project, "branch", "-D", "KEDRO/x")
    # Commits of the user's on a kept branch outlive the ten that are kept.
    dolt(project, "checkout", kept)
    dolt(project, "sql", "-q", "CREATE TABLE mine (id INT PRIMARY KEY)")
    dolt(project, "add", "mine")
    dolt(project, "commit", "-m", "Look into it")
    dolt(project, "checkout", "main")
    failing = "\n".join(
        ("for _ in range(11):", "    try:", "        run_with()", "    except RuntimeError:", "        pass")
    )
    os.environ["BREAK"] = BROKEN
    try:
        script(project, failing)
    finally:
        del os.environ["BREAK"]
    run(project)
    assert kept in branches(project)
    assert len([name for name in branches(project) if name.startswith("kedro/")]) == 11


@pytest.mark.thorough
@pytest.mark.usefixtures("first_run")
def test_ignored_tables_of_a_run_are_published_and_those_of_the_user_left_alone(project: Path) -> None:
    dolt(
        project, "sql", "-q",
        "INSERT INTO dolt_ignore VALUES ('example_test_*', 1), ('scratch', 1), ('kedro_*', 1); "
        "CREATE TABLE scratch (id INT PRIMARY KEY); INSERT INTO scratch VALUES (1)",
    )  # fmt: skip
    run(project, f"--params={RATIO}=0.4")
    run(project, f"--params={RATIO}=0.4,dolt_branch=whole,dolt_from=HEAD~1")
    assert hashes(project) == hashes(project, "whole")
    assert len(query(project, "SELECT * FROM kedro_runs AS OF 'HEAD'")) == 2
    # The target has moved: the run's commit is repeated on top of it.
    break_node(project, "report_accuracy")
    code = "import subprocess; subprocess.run(['dolt', 'sql', '-q', \"{}\"], cwd='data', check=True)".format(
        "CREATE TABLE other (id INT PRIMARY KEY); CALL DOLT_ADD('other'); CALL DOLT_COMMIT('-m', 'Other')"
    )
    run(project, f"--params={RATIO}=0.5", BREAK=code)
    assert messages(project)[1] == "Other"
    run(project, f"--params={RATIO}=0.5,dolt_branch=moved,dolt_from=HEAD~2")
    assert hashes(project) == hashes(project, "moved")
    # A table that is tracked and ignored, dropped by the user, is no obstacle.
    dolt(project, "sql", "-q", "DROP TABLE example_test_y")
    output = run(project, f"--params={RATIO}=0.5")
    assert "Committed the uncommitted edits of example_test_y on main apart" in output
    assert hashes(project) == hashes(project, "moved")
    assert query(project, "SELECT * FROM scratch") == [{"id": "1"}]
    status = query(project, "SELECT table_name FROM dolt_status_ignored")
    assert status == [{"table_name": "scratch"}]


def test_an_ignored_table_of_the_users_is_not_overwritten(project: Path) -> None:
    dolt(
        project, "sql", "-q",
        "INSERT INTO dolt_ignore VALUES ('example_metrics', 1); "
        "CREATE TABLE example_metrics (id INT PRIMARY KEY); INSERT INTO example_metrics VALUES (7)",
    )  # fmt: skip
    output = run(project, check=False)
    assert "example_metrics has uncommitted edits on main" in output and "dolt_ignore" in output
    assert query(project, "SELECT * FROM example_metrics") == [{"id": "7"}]


@pytest.mark.thorough
def test_a_view_is_read_as_of_the_runs_branch(project: Path) -> None:
    add_pipeline(
        project,
        "look",
        "from kedro.pipeline import Node, Pipeline\n\n\n"
        "def count(frame):\n    return frame.assign(id=1)\n\n\ndef create_pipeline(**kwargs):\n"
        "    return Pipeline([Node(count, 'a_view', 'seen_table', name='count')])\n",
        "\na_view:\n  type: pandas.SQLTableDataset\n  credentials: dolt\n  table_name: a_view\n"
        + CATALOG.format(name="seen"),
    )
    run(project, "--pipeline=iris")
    dolt(project, "sql", "-q", "CREATE VIEW a_view AS SELECT COUNT(*) AS n FROM example_test_y")
    dolt(project, "commit", "-Am", "Add a view")
    run(project, "--pipeline=iris", f"--params={RATIO}=0.4,dolt_branch=exp")
    run(project, "--pipeline=look", "--params=dolt_branch=exp")
    assert query(project, "SELECT n FROM seen AS OF 'exp'") == [{"n": "60"}]
    # A view may read any table: a change of one during the run stands in the way.
    break_node(project, "report_accuracy")
    code = "def count(frame):\n    exec(__import__('os').environ.get('BREAK', ''))\n"
    file = next((project / "src").glob("*/pipelines/look/pipeline.py"))
    file.write_text(file.read_text().replace("def count(frame):\n", code))
    change = "DELETE FROM example_test_y; CALL DOLT_COMMIT('-am', 'Change')"
    meanwhile = (
        f"import subprocess; subprocess.run(['dolt', 'sql', '-q', \"{change}\"], cwd='data', check=True)"
    )
    output = run(project, "--pipeline=look", check=False, BREAK=meanwhile)
    assert "example_test_y, which it read or wrote, changed on main meanwhile" in output


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ("dolt_branch=exp,dolt_from=main", "dolt_from=main is for a new branch, and exp is there"),
        ("dolt_from=HEAD~1", "dolt_from=HEAD~1 is for a new branch, and main is there"),
        (
            "dolt_brnach=oops",
            "dolt_brnach, which is not an option of kedro-dolt: did you mean `dolt_branch`?",
        ),
        ("dolt_branch=Main", "There is no branch Main, but main, and Dolt confuses"),
        ("dolt_tagged_as_so=1", "known are dolt_branch, dolt_from, dolt_run_group, dolt_accept, dolt_force"),
    ],
)
def test_what_a_run_cannot_do_is_refused_before_it_computes(project: Path, params: str, words: str) -> None:
    dolt(project, "branch", "exp", "HEAD~1")
    output = run(project, f"--params={params}", check=False)
    assert "Error: " in output and words in output and "Running node" not in output
    assert branches(project) == ["exp", "main"]


def test_options_in_parameters_yml_count(project: Path) -> None:
    parameters = project / "conf" / "base" / "parameters.yml"
    parameters.write_text(parameters.read_text() + "\ndolt_branch: staging\n")
    assert "to staging: " in run(project)
    assert "to other: " in run(project, f"--params=dolt_branch=other,{RATIO}=0.3")
    assert len(messages(project)) == 2


def test_an_unfinished_merge_is_refused_before_the_run(project: Path) -> None:
    change = "UPDATE example_iris_data SET species = '{}' WHERE sample_id = 1"
    dolt(project, "checkout", "-b", "theirs")
    dolt(project, "sql", "-q", change.format("rosa"))
    dolt(project, "commit", "-am", "Theirs")
    dolt(project, "checkout", "main")
    dolt(project, "sql", "-q", change.format("alba"))
    dolt(project, "commit", "-am", "Ours")
    subprocess.run(["dolt", "merge", "theirs"], cwd=project / "data", capture_output=True, check=False)
    output = run(project, check=False)
    assert "Error: A merge on main is not finished" in output and "dolt merge --abort" in output
    dolt(project, "merge", "--abort")
    run(project)
