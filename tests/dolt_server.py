"""A real Dolt server in a directory of the test's own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
from pymysql.constants import CLIENT
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from kedro_doltdb.dolt_cli import find_dolt

DATABASE = "data"


@contextmanager
def dolt_server(directory: Path) -> Iterator[Engine]:
    """Serve a new Dolt repository, ``directory / "data"``, and give a SQLAlchemy engine on it.

    The server listens on loopback only and is stopped by its own pid, whatever the test does.
    """
    data_dir = directory / DATABASE
    data_dir.mkdir()
    home = directory / "home"
    home.mkdir()
    env = {**os.environ, "HOME": str(home), "DOLT_DISABLE_EVENT_FLUSH": "1", "DO_NOT_TRACK": "1"}
    dolt = find_dolt()
    for command in (
        ["init", "--name", "tester", "--email", "tester@localhost", "--initial-branch", "main"],
        ["config", "--local", "--add", "metrics.disabled", "true"],
        ["config", "--local", "--add", "versioncheck.disabled", "true"],
    ):
        subprocess.run([dolt, *command], cwd=data_dir, env=env, check=True, capture_output=True)
    port = _free_port()
    # JSON is YAML.
    config = directory / "server.yaml"
    config.write_text(
        json.dumps(
            {
                "log_level": "warning",
                "listener": {"host": "127.0.0.1", "port": port},
                # Statistics look into each branch while it is made: see kedro_doltdb.dolt.branches.
                "system_variables": {"local_infile": 1, "dolt_stats_enabled": 0},
            }
        )
    )
    log_file = directory / "server.log"
    with open(log_file, "wb") as log:
        process = subprocess.Popen(
            [dolt, "sql-server", "--config", str(config), "--skip-root-user-initialization"],
            cwd=data_dir,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, data_dir, log_file)
        yield create_engine(
            "dolt+pymysql://dolt/data", creator=lambda: _connect(data_dir), poolclass=NullPool
        )
    finally:
        process.terminate()
        process.wait(30)


def _connect(data_dir: Path) -> pymysql.Connection[pymysql.cursors.Cursor]:
    _, port, secret = (data_dir / ".dolt" / "sql-server.info").read_text().strip().split(":")
    return pymysql.connect(
        host="127.0.0.1",
        port=int(port),
        user="__dolt_local_user__",
        password=secret,
        database=DATABASE,
        charset="utf8mb4",
        client_flag=CLIENT.LOCAL_FILES,
        ssl_disabled=True,
    )


def _wait_until_ready(process: subprocess.Popen[bytes], data_dir: Path, log_file: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            _connect(data_dir).close()
            return
        except (OSError, ValueError, pymysql.err.Error):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no Dolt server: {log_file.read_text()}") from None
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
