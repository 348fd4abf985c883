"""An MLflow run during which a pipeline runs is told of the run on Dolt; real MLflow, its database a file."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import own_copy, run_kedro
from helpers import query

from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.journal.store import Run
from kedro_doltdb.run import mlflow_run
from kedro_doltdb.run.records import Record

# A hook as kedro-mlflow's: it begins a run after ours, and ends it before the data is published.
SCRIPT = """
import json, sys
from pathlib import Path
import mlflow
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

mlflow.set_tracking_uri("sqlite:///mlflow.db")
bootstrap_project(Path.cwd())
ids = {}

def run(ratio, runner=SequentialRunner, **params):
    given = {"example_test_data_ratio": ratio, **params}
    with KedroSession.create(runtime_params=given) as session:
        session.run(runner=runner())

def during(name, *args, **params):
    try:
        with mlflow.start_run() as active:
            ids[name] = active.info.run_id
            run(*args, **params)
    except Exception as error:
        ids[name + " error"] = type(error).__name__

during("published", 0.1)
during("no effect", 0.1)
during("parallel", 0.3, ParallelRunner)
during("failed", 7)
Path("as-kedro-mlflow").touch()
with mlflow.start_run() as outer:
    ids["outer"] = outer.info.run_id
    run(0.2, ThreadRunner)
    ids["nested"] = Path("nested").read_text()
    try:
        run(0.5, dolt_branch="other")
    except Exception as error:
        ids["refused error"] = type(error).__name__
    ids["refused"] = Path("nested").read_text()
    for number, name in enumerate(("later", "elsewhere", "deleted since"), start=1):
        try:
            run(0.5 + number / 100, dolt_branch=f"other{number}")
        except Exception as error:
            ids[name + " error"] = type(error).__name__
        ids[name] = Path("nested").read_text()
Path("as-kedro-mlflow").unlink()
Path("deleted").touch()
during("deleted", 0.4)
told = {}
for name, run_id in ids.items():
    if not name.endswith(" error"):
        found = mlflow.get_run(run_id)
        told[name] = {
            "status": found.info.status,
            "tags": found.data.tags,
            "inputs": [one.dataset.to_dictionary() for one in found.inputs.dataset_inputs],
            "loaded": [
                len(mlflow.data.get_source(one.dataset).load()) for one in found.inputs.dataset_inputs
            ],
        }
print("TOLD", json.dumps([ids, told]))
"""
HOOKS = """

import mlflow
from pathlib import Path


class OtherHooks:
    @hook_impl
    def before_pipeline_run(self) -> None:
        if Path("as-kedro-mlflow").exists():
            Path("nested").write_text(mlflow.start_run(nested=True).info.run_id)
        if Path("deleted").exists():
            mlflow.MlflowClient().delete_run(mlflow.active_run().info.run_id)

    @hook_impl
    def after_pipeline_run(self) -> None:
        if Path("as-kedro-mlflow").exists():
            mlflow.end_run()
"""


class Told:
    """What a script's runs have told MLflow, and the project and the log that they have left."""

    def __init__(self, project: Path, ids: dict[str, str], runs: dict[str, Any], log: str) -> None:
        self.project, self.ids, self.runs, self.log = project, ids, runs, log

    def tags(self, name: str) -> dict[str, str]:
        return {
            tag.removeprefix("dolt."): value
            for tag, value in self.runs[name]["tags"].items()
            if tag.startswith("dolt.")
        }


@pytest.fixture(scope="module")
def told(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with own_copy(generated, tmp_path_factory.mktemp("mlflow")) as project:
        with open(project / "src" / "iris_dolt" / "hooks.py", "a") as file:
            file.write(HOOKS)
        settings = project / "src" / "iris_dolt" / "settings.py"
        text = settings.read_text().replace("import DoltHooks", "import DoltHooks, OtherHooks")
        # Later ones are called first, as those of installed plugins are.
        settings.write_text(text.replace("(DoltHooks(),)", "(DoltHooks(), OtherHooks())"))
        config = project / "conf" / "base" / "dolt.yml"
        few = {"example_test_x": {"max_rows_changed": 40}}
        config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "checks": few}))
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=project, capture_output=True, text=True, check=False
        )
        assert "TOLD " in done.stdout, done.stdout + done.stderr
        ids, runs = json.loads(done.stdout.partition("TOLD ")[2].splitlines()[0])
        yield Told(project, ids, runs, done.stdout + done.stderr)


def journalled(told: Told, name: str, at: str = "main") -> dict[str, str]:
    [row] = query(
        told.project,
        "SELECT run_id, branch, base, status, mlflow_url FROM kedro_runs "
        f"AS OF '{at}' WHERE mlflow_run_id = '{told.ids[name]}'",
    )
    return row


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["published", "parallel", "nested"])
def test_mlflow_has_the_commit_and_the_journal_has_the_mlflow_run(told: Told, name: str) -> None:
    tags, row = told.tags(name), journalled(told, name)
    assert told.runs[name]["status"] == "FINISHED" and row["status"] == "succeeded"
    assert tags["status"] == "published" and tags["published"] == "true"
    assert (tags["run"], tags["branch"], tags["base"]) == (row["run_id"], row["branch"], row["base"])
    [commit] = query(told.project, f"SELECT message FROM dolt_log('{tags['commit']}') LIMIT 1")
    assert commit["message"].startswith(f"Update data from Kedro run {row['run_id']} ")


def test_the_command_in_the_tag_shows_what_the_run_changed(told: Told) -> None:
    kedro, *arguments = told.tags("parallel")["diff"].split()
    shown = json.loads(run_kedro(told.project, *arguments, "--json").stdout)
    assert kedro == "kedro" and shown["params"] == {"example_test_data_ratio": {"old": 0.1, "new": 0.3}}


@pytest.mark.thorough
def test_a_run_without_effect_says_so(told: Told) -> None:
    tags = told.tags("no effect")
    assert (tags["status"], tags["published"]) == ("no effect", "false")
    assert "diff" not in tags and tags["commit"] == tags["base"]


@pytest.mark.thorough
def test_a_run_that_is_not_published_is_marked_and_names_what_was_kept(told: Told) -> None:
    for name, status in {"failed": "failed", "refused": "refused"}.items():
        tags = told.tags(name)
        assert (tags["status"], tags["published"]) == (status, "false")
        # MLflow's own run had been ended well, where the checks refused what it had computed.
        assert told.runs[name]["status"] == "FAILED"
        assert journalled(told, name, tags["kept_on"])["status"] == status
        assert tags["diff"] == f"kedro dolt compare {tags['base']} {tags['commit']}"
    assert told.ids["failed error"] == "ValueError" and told.ids["refused error"] == "CheckError"


def test_the_run_that_hooks_begin_inside_another_is_the_one_that_is_told(told: Told) -> None:
    assert told.tags("outer") == {} and told.runs["outer"]["inputs"] == []


def test_inputs_are_datasets_by_content_whose_source_opens_the_table(told: Told) -> None:
    [content] = query(told.project, "SELECT dolt_hashof_table('example_iris_data') AS hash")
    for name in ("published", "parallel", "failed", "refused"):
        [dataset] = told.runs[name]["inputs"]
        assert (dataset["name"], dataset["digest"]) == ("example_iris_data", content["hash"])
        assert json.loads(dataset["profile"]) == {"num_rows": 150} and told.runs[name]["loaded"] == [150]
        assert str(told.project) not in dataset["source"]


def published_later(told: Told, name: str, *args: str, **env: str) -> tuple[str, str, dict[str, str]]:
    """Publish a refused run, and return what that prints, what it logs, and what MLflow then has."""
    accepted = ("--accept=max_rows_changed", "--reason=New labels")
    directory = told.project / "notebooks"
    done = run_kedro(directory, "dolt", "publish", told.tags(name)["run"], *accepted, *args, **env)
    assert not [path for path in directory.iterdir() if "mlflow" in path.name or path.name == "mlruns"]
    client = mlflow_client(told)
    run = client.get_run(told.ids[name])
    tags = {key.removeprefix("dolt."): value for key, value in run.data.tags.items()}
    # Below the project Kedro says first how it logs.
    return done.stdout.splitlines()[-1], " ".join(done.stderr.split()), tags


def mlflow_client(told: Told) -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{told.project / 'mlflow.db'}")


def test_a_run_that_is_published_later_is_so_in_mlflow(told: Told) -> None:
    before = told.tags("later")
    assert (before["status"], before["published"]) == ("refused", "false") and before["kept_on"]
    output, log, tags = published_later(told, "later", "--to=accepted")
    [commit] = query(told.project, "SELECT commit_hash FROM dolt_log('accepted') LIMIT 1")
    assert output.startswith(f"Published {commit['commit_hash'][:10]} to accepted") and "MLflow" not in log
    assert (tags["status"], tags["published"], tags["branch"]) == ("published", "true", "accepted")
    assert tags["commit"] == commit["commit_hash"] and "kept_on" not in tags
    kedro, *arguments = tags["diff"].split()
    assert kedro == "kedro" and run_kedro(told.project, *arguments, "--json").stdout


def test_a_run_is_published_although_mlflow_cannot_be_told(told: Told) -> None:
    client = mlflow_client(told)
    # The id in a journal may be that of anybody's run.
    client.set_tag(told.ids["elsewhere"], "dolt.run", "another")
    output, log, tags = published_later(told, "elsewhere")
    assert output.startswith("Published ") and tags["published"] == "false"
    assert log.count("still says that the data is not published: MLflow has another run of that id") == 1
    (told.project / "mlflow.db").rename(told.project / "gone.db")
    try:
        done = run_kedro(
            told.project, "dolt", "publish", told.tags("deleted since")["run"],
            "--accept=max_rows_changed", "--reason=New labels",
        )  # fmt: skip
        assert done.stdout.startswith("Published ") and not (told.project / "mlflow.db").exists()
        assert "there is no mlflow.db in" in " ".join(done.stderr.split())
    finally:
        (told.project / "gone.db").rename(told.project / "mlflow.db")


@pytest.mark.parametrize(
    ("uri", "lasting"),
    [
        ("https://host:5000/ml/", "https://host:5000/ml/"),
        ("https://ada:s3cret@host", None),
        ("https://host/?key=s3cret", None),
        ("sqlite:///mlflow.db", f"sqlite:///{Path.cwd()}/mlflow.db"),
        ("sqlite:////home/ada/mlflow.db", "sqlite:////home/ada/mlflow.db"),
        ("file:///home/ada/mlruns", "file:///home/ada/mlruns"),
        ("databricks", "databricks"),
    ],
)
def test_where_mlflow_keeps_a_run_is_noted_without_secrets_and_for_any_directory(
    uri: str, lasting: str | None
) -> None:
    assert mlflow_run._lasting(uri) == lasting


@pytest.mark.thorough
def test_a_run_is_published_and_warns_once_whatever_mlflow_answers(told: Told) -> None:
    assert told.tags("deleted") == {}
    assert journalled(told, "deleted")["status"] == "succeeded"
    warnings = " ".join(told.log.split()).count("MLflow's run lacks facts of this run")
    assert warnings == 2, "one when it began, one when it ended"


@pytest.mark.thorough
def test_runs_and_show_name_the_mlflow_run(told: Told) -> None:
    listed = json.loads(run_kedro(told.project, "dolt", "runs", "--json").stdout)
    assert {run["mlflow_run_id"] for run in listed} >= {told.ids["published"], told.ids["nested"]}
    shown = run_kedro(told.project, "dolt", "show", told.tags("nested")["run"]).stdout
    assert f"MLflow {told.ids['nested']}" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("http://ada:s3cret@host:5000/ml/?key=s3cret", "http://host:5000/ml/#/experiments/1/runs/r"),
        ("https://host", "https://host/#/experiments/1/runs/r"),
        ("sqlite:////home/ada/mlflow.db", None),
        ("postgresql://ada:s3cret@host/mlflow", None),
        ("databricks", None),
    ],
)
def test_the_address_of_a_run_holds_no_password(uri: str, url: str | None) -> None:
    assert mlflow_run._url(uri, "1", "r") == url


def test_a_server_that_does_not_answer_is_waited_for_a_little(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow

    monkeypatch.setattr(mlflow_run, "MOST_SECONDS", 0.2)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    record = Record("r", "main", "b" * 32, [], run=Run("r"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = mlflow.MlflowClient(f"http://ada:s3cret@127.0.0.1:{silent.getsockname()[1]}")
        mlflow_run.MlflowRun(client, "r", "1").begin(record)
        # Read before the socket closes: the request then fails, and its thread warns as well.
        warnings = [record for record in caplog.records if record.name.startswith("kedro_doltdb")]
    [warning] = warnings
    assert "MLflow has not answered" in warning.getMessage()


def test_what_mlflow_says_is_one_line_without_passwords(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    record = Record("r", "main", "b" * 32, [], run=Run("r"))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = mlflow.MlflowClient(f"http://ada:s3cret@127.0.0.1:{port}/%0a")
    repository: Repository = None  # type: ignore[assignment]  # it is not reached
    mlflow_run.MlflowRun(client, "r", "1").end(repository, record, "failed", None)
    # The thread of the test above may warn still.
    [said] = [
        record.getMessage() for record in caplog.records if f"@127.0.0.1:{port}/" in record.getMessage()
    ]
    assert said.startswith("MLflow's run lacks facts") and "s3cret" not in said and "\n" not in said


def test_without_mlflow_nothing_of_it_is_imported() -> None:
    code = (
        "import sys, kedro_doltdb.plugin_hooks as plugin\n"
        "plugin.hooks.before_pipeline_run(pipeline=object(), catalog=object())\n"
        "assert not [name for name in sys.modules if 'mlflow' in name]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
