"""The iris project as an Airflow DAG, its tasks in processes of their own, on one Dolt server: from nothing.

Generates a project, moves its data to a Dolt server, makes the DAG with kedro-airflow, starts Airflow
(LocalExecutor), triggers the DAG, and looks at what is in Dolt then. Everything listens on 127.0.0.1 and is
stopped and removed at the end. `make test-airflow` installs what it needs, which is not little, and runs it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pymysql

from kedro_doltdb.dolt_cli import find_dolt

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DAG = "iris-dolt"
RUN = "the-first"
BIN = Path(sys.executable).parent

# Two nodes that can run at once, beside the template's own.
MORE_NODES = '''

def count_species(train_y):
    """How many training samples there are of each species."""
    return train_y["species"].value_counts().rename("samples").reset_index()


def summarise(train_x):
    """Mean and spread of each measure of the training samples."""
    columns = [name for name in train_x.columns if name != "sample_id"]
    return train_x[columns].describe().T[["mean", "std"]].rename_axis("measure").reset_index()


_create_pipeline = create_pipeline


def create_pipeline(**kwargs):
    return _create_pipeline(**kwargs) + Pipeline(
        [
            Node(count_species, "example_train_y", "train_species", name="count_species"),
            Node(summarise, "example_train_x", "train_measures", name="summarise"),
        ]
    )
'''
MORE_TABLES = """
train_species:
  type: pandas.SQLTableDataset
  table_name: train_species
  credentials: dolt
  save_args: {if_exists: replace, method: "${dolt.bulk_load:species}"}

train_measures:
  type: pandas.SQLTableDataset
  table_name: train_measures
  credentials: dolt
  save_args: {if_exists: replace, method: "${dolt.bulk_load:measure}"}
"""


def main() -> None:
    """Do all of it; leave with an error if something is not as it should be."""
    with tempfile.TemporaryDirectory(prefix="kedro dolt airflow ", ignore_cleanup_errors=True) as directory:
        place = Path(directory)
        say("generating the project")
        run([BIN / "kedro", "new", f"--starter={ROOT}", "--name=Iris Dolt"], place)
        project = place / "iris-dolt"
        extend(project)
        say("a plain run, to compare with")
        run([BIN / "kedro", "run"], project)
        expected = hashes_of(project)
        run(["dolt", "reset", "--hard", "HEAD~1"], project / "data")
        with dolt_server(place / "server", project / "data") as (port, password):
            configure(project, port)
            environment = {
                **airflow_environment(place / "airflow"),
                "DOLT_PASSWORD": password,
                "PYTHONPATH": str(project / "src"),
            }
            say("making the DAG")
            dags = place / "airflow" / "dags"
            create = ["airflow", "create", "--env=airflow", f"--target-dir={dags}"]
            template = f"--jinja-file={HERE / 'dag.py.j2'}"
            params = f"--params=project_path={project}"
            run([BIN / "kedro", *create, template, params], project, environment)
            with airflow(place / "airflow", environment):
                trigger(place, environment)
            check(project, port, password, expected, environment)
    say("all as it should be")


def say(text: str) -> None:
    """Show where we are."""
    print(f"airflow demo: {text}", flush=True)


def run(command: list[object], directory: Path, environment: dict[str, str] | None = None) -> str:
    """What a command prints; its failure is ours."""
    done = subprocess.run(
        [str(part) for part in command], cwd=directory, env=environment or os.environ.copy(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def extend(project: Path) -> None:
    """Add two nodes that can run at the same time."""
    with open(project / "src" / "iris_dolt" / "pipelines" / "iris" / "pipeline.py", "a") as file:
        file.write(MORE_NODES)
    with open(project / "conf" / "base" / "catalog.yml", "a") as file:
        file.write(MORE_TABLES)


def hashes_of(project: Path) -> dict[str, str]:
    """The content hash of each table that a run of the project makes."""
    answer = run(["dolt", "sql", "-r", "json", "-q", HASHES], project / "data")
    return dict(json.loads(answer)["rows"][0])


TABLES = (
    "example_metrics", "example_predictions", "example_test_x", "example_test_y", "example_train_x",
    "example_train_y", "train_measures", "train_species",
)  # fmt: skip
HASHES = "SELECT " + ", ".join(f"dolt_hashof_table('{table}') AS {table}" for table in TABLES)


@contextmanager
def dolt_server(directory: Path, data: Path) -> Iterator[tuple[int, str]]:
    """A server that the tasks share, with the project's data as its database `iris`."""
    directory.mkdir()
    shutil.copytree(data, directory / "iris", ignore=shutil.ignore_patterns("kedro"))
    shutil.rmtree(data / ".dolt")
    port, password = free_port(), secrets.token_urlsafe(24)
    config = {"listener": {"host": "127.0.0.1", "port": port}, "system_variables": {"local_infile": 1}}
    (directory / "server.json").write_text(json.dumps({"log_level": "warning", "data_dir": ".", **config}))
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            [find_dolt(), "sql-server", "--config", "server.json"],
            cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        page = (ROOT / "docs" / "external_server.md").read_text()
        grants = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)[0].replace("a long password", password)
        with connect(port, "root", "") as connection, connection.cursor() as cursor:
            for statement in filter(None, map(str.strip, grants.split(";"))):
                cursor.execute(statement)
        yield port, password
    finally:
        process.terminate()
        process.wait(30)


def connect(port: int, user: str, password: str, database: str | None = None) -> pymysql.Connection:
    """A connection, once the server answers."""
    for _ in range(200):
        try:
            return pymysql.connect(
                host="127.0.0.1", port=port, user=user, password=password, database=database,
                autocommit=True, ssl_disabled=True,
            )  # fmt: skip
        except pymysql.err.OperationalError:
            time.sleep(0.05)
    raise SystemExit("the Dolt server does not answer")


def configure(project: Path, port: int) -> None:
    """The environment `airflow` of the project's configuration: the server that all tasks share."""
    conf = project / "conf" / "airflow"
    conf.mkdir()
    (conf / "dolt.yml").write_text("managed: false\n")
    credentials = (
        "dolt:\n  host: 127.0.0.1\n  user: kedro\n  password: ${oc.env:DOLT_PASSWORD}\n  database: iris\n"
    )
    (conf / "credentials.yml").write_text(f"{credentials}  port: {port}\n")


def airflow_environment(home: Path) -> dict[str, str]:
    """Airflow in a directory of its own, on this machine's loopback alone."""
    home.mkdir()
    port = free_port()
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    }


@contextmanager
def airflow(home: Path, environment: dict[str, str]) -> Iterator[None]:
    """Airflow's parts, each in a process group of its own that is ended as a whole."""
    say("starting Airflow")
    run([BIN / "airflow", "db", "migrate"], home, environment)
    processes = []
    try:
        # Not `airflow standalone`: it serves logs to every machine.
        for part in (["api-server"], ["scheduler", "--skip-serve-logs"], ["dag-processor"]):
            with open(home / f"{part[0]}.log", "wb") as log:
                processes.append(
                    subprocess.Popen(
                        [BIN / "airflow", *part],
                        cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        start_new_session=True,
                    )
                )  # fmt: skip
        yield
    except BaseException:
        for file in home.glob("*.log"):
            print(file.read_text(errors="replace")[-3000:], file=sys.stderr)
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            for process in processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)


def trigger(place: Path, environment: dict[str, str]) -> None:
    """Run the DAG once and wait for its end."""
    home = place / "airflow"
    command = [str(BIN / "airflow"), "dags", "trigger", "--run-id", RUN, DAG]
    deadline = time.monotonic() + 300
    while subprocess.run(command, cwd=home, env=environment, capture_output=True).returncode:
        if time.monotonic() > deadline:
            raise SystemExit("Airflow does not know the DAG")
        time.sleep(3)
    say("the DAG was triggered")
    run([BIN / "airflow", "dags", "unpause", DAG], home, environment)
    while True:
        listed = run([BIN / "airflow", "dags", "list-runs", DAG, "--output", "json"], home, environment)
        # Airflow logs to standard output as well.
        state = json.JSONDecoder().raw_decode(listed[listed.index("[{") :])[0][0]["state"]
        if state in ("success", "failed"):
            break
        if time.monotonic() > deadline:
            raise SystemExit(f"the DAG run is still {state}")
        time.sleep(3)
    say(f"the DAG run ended: {state}")
    if state != "success":
        logs = sorted((home / "logs").rglob("*.log"))
        raise SystemExit("\n".join(log.read_text(errors="replace")[-3000:] for log in logs))


def check(
    project: Path, port: int, password: str, expected: dict[str, str], environment: dict[str, str]
) -> None:
    """One group, a commit a task with the task's tables, and the data of a plain run."""
    with connect(port, "kedro", password, "iris") as connection, connection.cursor() as cursor:
        cursor.execute(HASHES)
        found = dict(zip(TABLES, cursor.fetchone() or (), strict=True))
        if found != expected:
            raise SystemExit(f"the DAG's tables are others than a plain run's: {found}, {expected}")
        cursor.execute("SELECT filters->>'$.node_names', run_group, status FROM kedro_runs ORDER BY started")
        tasks = cursor.fetchall()
        if len(tasks) != 5 or {(group, status) for _, group, status in tasks} != {(RUN, "succeeded")}:
            raise SystemExit(f"these are not five tasks of one group: {tasks}")
        cursor.execute("SELECT COUNT(*) FROM dolt_log WHERE message LIKE 'Update data from Kedro run%'")
        if cursor.fetchone() != (5,):
            raise SystemExit("there is not a commit for each task")
    for command in (["runs"], ["runs", "--group", RUN]):
        print(run([BIN / "kedro", "dolt", *command, "--env=airflow"], project, environment))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
