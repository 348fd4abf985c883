"""What grows with rows, columns, branches and runs at once: points on a line, on one machine in one run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pandas as pd
import pymysql

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.table_dataset import DoltTableDataset
from kedro_doltdb.dolt_cli import find_dolt, initialise
from kedro_doltdb.server.process import _free_port
from kedro_doltdb.settings import Settings

from .measure import timed
from .save_table import frame_of

ROOT = Path(__file__).resolve().parents[1]
CHANGED = 100
REPEATS = 3


def scaling(directory: Path, full: bool) -> Iterator[str]:
    """Markdown tables of all points, one after the other.

    Args:
        directory: to be made, and large.
        full: up to 10 million rows and 32 runs at once, instead of a million and 8.
    """
    directory.mkdir()
    sizes = [10**power for power in range(4, 8 if full else 7)]
    yield _table(
        f"Rows: a table of 7 columns, {CHANGED} rows changed",
        ["rows", "first save, s", "save of the change, s", "load, s", "load without a copy, s", "diff, ms"],
        (_by_size(directory / f"rows{rows}", frame_of(rows)) for rows in sizes),
    )
    yield _table(
        f"Columns: 10,000 rows, {CHANGED} of them changed",
        [
            "columns",
            "first save, s",
            "save of the change, s",
            "load, s",
            "load without a copy, s",
            "diff, ms",
        ],
        (_by_size(directory / f"columns{times}", _wide(times), by_columns=True) for times in (1, 10, 50)),
    )
    yield _table(
        "Branches: what a run does with its branch (make it, move the target, delete it)",
        ["branches", "ms"],
        _by_branches(directory / "branches", (10, 100, 1000)),
    )
    yield _table(
        "Runs of the iris project at once on one external server, each on its branch",
        ["at once", "seconds in all", "runs a second"],
        _at_once(directory / "runs", [2**power for power in range(6 if full else 4)]),
    )


def _table(title: str, heads: list[str], rows: Iterator[list[str]]) -> str:
    lines = [f"**{title}**", "", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for row in rows:
        print(f"{title}: {row}", file=sys.stderr, flush=True)
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _wide(times: int) -> pd.DataFrame:
    frame = frame_of(10_000)
    others = frame.drop(columns="id")
    return pd.concat([frame["id"], *(others.add_suffix(f"_{n}") for n in range(times))], axis=1).rename(
        columns={"price_0": "price"}
    )


def _by_size(directory: Path, frame: pd.DataFrame, by_columns: bool = False) -> list[str]:
    os.environ["XDG_CACHE_HOME"] = str(directory / "cache")
    directory.mkdir()
    initialise(directory / "data", [])
    database = Database(directory, Settings())
    dataset = DoltTableDataset(table_name="t", credentials=database.credentials(), primary_key="id")
    try:
        _sql(database, "SELECT 1")
        first = timed(lambda: dataset.save(frame))
        _sql(database, "CALL DOLT_COMMIT('-Am', 'first')")
        saves, diffs, loads, cold = [], [], [], []
        for number in range(REPEATS):
            frame = frame.copy()
            frame.loc[number : number + CHANGED - 1, "price"] += 1.0
            saves.append(timed(lambda frame=frame: dataset.save(frame)))  # type: ignore[misc]
            _sql(database, "CALL DOLT_COMMIT('-Am', 'next')")
            query = "SELECT * FROM dolt_diff('HEAD~1', 'HEAD', 't')"
            diffs.append(timed(lambda query=query: _sql(database, query)))  # type: ignore[misc]
            loads.append(timed(dataset.load))
        for _ in range(REPEATS):
            shutil.rmtree(directory / "cache")
            cold.append(timed(dataset.load))
    finally:
        database.close()
    shutil.rmtree(directory)
    return [
        f"{frame.shape[1] if by_columns else len(frame):,}", f"{first:.2f}", f"{median(saves):.3f}",
        f"{median(loads):.3f}", f"{median(cold):.2f}", f"{1000 * median(diffs):.0f}",
    ]  # fmt: skip


def _sql(database: Database, statement: str) -> None:
    connection = database()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.fetchall()
        connection.commit()
    finally:
        connection.close()


def _by_branches(directory: Path, counts: tuple[int, ...]) -> Iterator[list[str]]:
    from kedro_doltdb.dolt.fast_forward import fast_forward

    directory.mkdir()
    initialise(directory / "data", [])
    database = Database(directory, Settings())
    with database.serving() as repository:
        there = 1
        for count in counts:
            for number in range(there, count):
                repository.create_branch(f"b{number}", "main")
            there = count

            def run() -> None:
                repository.create_branch("kedro/bench", "main")
                with repository.on("kedro/bench") as cursor:
                    cursor.execute("CALL DOLT_COMMIT('--allow-empty', '-m', 'bench')")
                fast_forward(repository, "main", "kedro/bench")
                repository.delete_branch("kedro/bench")

            run()
            yield [f"{count:,}", f"{1000 * median(timed(run) for _ in range(7)):.0f}"]


@contextmanager
def _external_server(project: Path) -> Iterator[int]:
    """Serve the project's data from elsewhere; gives the port."""
    directory, port = project.parent / "server", _free_port()
    directory.mkdir()
    (project / "data").rename(directory / "iris")
    (project / "data").mkdir()
    config = {
        "log_level": "error",
        "data_dir": ".",
        "listener": {"host": "127.0.0.1", "port": port},
        "system_variables": {"local_infile": 1},
    }
    (directory / "server.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        [find_dolt(), "sql-server", "--config", "server.json"],
        cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_until(lambda: pymysql.connect(host="127.0.0.1", port=port, user="root", ssl_disabled=True))
        with pymysql.connect(host="127.0.0.1", port=port, user="root", ssl_disabled=True) as connection:
            for statement in ("CREATE USER bench IDENTIFIED BY 'bench'", "GRANT ALL ON *.* TO bench"):
                connection.cursor().execute(statement)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _wait_until(action: Callable[[], object]) -> None:
    for _ in range(200):
        try:
            action()
            return
        except pymysql.err.OperationalError:
            time.sleep(0.05)
    raise SystemExit("the Dolt server did not start")


def _at_once(directory: Path, counts: list[int]) -> Iterator[list[str]]:
    directory.mkdir()
    environment = {**os.environ, "PWD": str(directory)}
    new = [sys.executable, "-m", "kedro", "new", f"--starter={ROOT}", "--name=Iris Dolt"]
    subprocess.run(new, cwd=directory, env=environment, check=True, capture_output=True)
    project = directory / "iris-dolt"
    with _external_server(project) as port:
        (project / "conf" / "local" / "dolt.yml").write_text("managed: false\n")
        credentials = {
            "host": "127.0.0.1", "port": port, "user": "bench", "password": "bench", "database": "iris",
        }  # fmt: skip
        (project / "conf" / "local" / "credentials.yml").write_text(json.dumps({"dolt": credentials}))
        _runs(project, 1, "warm")
        for count in counts:
            seconds = timed(lambda count=count: _runs(project, count, f"at{count}"))  # type: ignore[misc]
            yield [str(count), f"{seconds:.1f}", f"{count / seconds:.2f}"]


def _runs(project: Path, count: int, branch: str) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "kedro", "run", f"--params=dolt_branch={branch}-{number}"],
            cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for number in range(count)
    ]  # fmt: skip
    if failed := [run for run in runs if run.wait()]:
        raise SystemExit(f"{len(failed)} of {count} runs failed")
