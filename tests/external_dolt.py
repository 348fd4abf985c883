"""Dolt servers that somebody else runs, on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymysql
from conftest import ROOT, run_kedro
from dolt_server import _free_port
from helpers import TABLES

from kedro_doltdb.dolt_cli import find_dolt

PASSWORD = "correct horse battery staple"
DATABASE = "iris"


class External:
    """A Dolt server with the project's data as one of its databases, and a user with the docs' rights."""

    def __init__(
        self, directory: Path, data: Path | None, cluster: Mapping[str, Any] | None = None, **listener: Any
    ) -> None:
        self.port = _free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        # How root connects, where it has to show a certificate: arguments of PyMySQL's.
        self.encryption: dict[str, Any] = {"ssl_disabled": "tls_key" not in listener}
        databases = directory / "databases"
        databases.mkdir(parents=True)
        if data is not None:
            shutil.copytree(data, databases / DATABASE, ignore=shutil.ignore_patterns("kedro", "01_raw"))
        self._config = directory / "config.json"
        self._config.write_text(
            json.dumps(
                {
                    "log_level": "info",
                    "data_dir": str(databases),
                    "privilege_file": str(directory / "privileges.db"),
                    "listener": {"host": "127.0.0.1", "port": self.port, **listener},
                    "system_variables": {"local_infile": 1},
                    **({"cluster": cluster} if cluster else {}),
                }
            )
        )

    def start(self) -> None:
        with open(self._directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [find_dolt(), "sql-server", "--config", str(self._config)],
                cwd=self._directory,
                # A server keeps its role in a cluster in the configuration of its user.
                env={**os.environ, "DOLT_ROOT_PATH": str(self._directory)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.root("SELECT 1", branch="").clear()
            except pymysql.err.OperationalError:
                assert self._process.poll() is None and time.monotonic() < deadline, self.log
                time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    @property
    def log(self) -> str:
        return (self._directory / "log").read_text()

    def root(self, *statements: str, branch: str = "main") -> list[tuple[Any, ...]]:
        """What the last statement gives."""
        database = None if branch == "" else f"{DATABASE}/{branch}"
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True,
            **self.encryption,
        )  # fmt: skip
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def let_in(self) -> None:
        """Make the user as the docs say."""
        needed, optional = self.rights()
        self.root(*needed, *optional)

    def rights(self) -> tuple[list[str], list[str]]:
        """The statements of the docs: those that a run needs, and those that make it quick."""
        page = (ROOT / "docs" / "external_server.md").read_text()
        (grants,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
        statements = list(
            filter(None, map(str.strip, grants.replace("a long password", PASSWORD).split(";")))
        )
        return statements[:2], statements[2:]

    def credentials(self) -> dict[str, object]:
        return {
            "host": "127.0.0.1", "port": self.port, "user": "kedro", "password": PASSWORD,
            "database": DATABASE,
        }  # fmt: skip

    def hashes(self, branch: str = "main") -> dict[str, str]:
        there = {row[0] for row in self.root("SHOW TABLES", branch=branch)} & {*TABLES}
        return {
            table: self.root(f"SELECT dolt_hashof_table('{table}')", branch=branch)[0][0]
            for table in sorted(there)
        }

    def messages(self, branch: str = "main") -> list[str]:
        return [row[0].splitlines()[0] for row in self.root(f"SELECT message FROM dolt_log('{branch}')")]

    def branches(self) -> list[str]:
        return [row[0] for row in self.root("SELECT name FROM dolt_branches ORDER BY name")]


def use(project: Path, port: int, replica: int | None = None, **more: object) -> None:
    """Have the project work on the server at that port of this machine."""
    shutil.rmtree(project / "data" / ".dolt", ignore_errors=True)
    (project / "conf" / "local" / "dolt.yml").write_text("managed: false\n")
    credentials = {
        "host": "127.0.0.1", "port": port, "user": "kedro", "password": "${oc.env:DOLT_SECRET}",
        "database": DATABASE, **more,
    }  # fmt: skip
    entries = {"dolt": credentials, **({"dolt_replica": {**credentials, "port": replica}} if replica else {})}
    (project / "conf" / "local" / "credentials.yml").write_text(json.dumps(entries))


def kedro(project: Path, *args: str, code: int = 0) -> str:
    done = run_kedro(project, *args, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert PASSWORD not in output
    return re.sub(r"\s+", " ", output)


def make_certificate(directory: Path, name: str, issuer: str | None = None, host: str = "localhost") -> None:
    """Make a key and a certificate: of an authority, or issued by one for a host."""
    subject = ["-subj", f"/CN={name}", "-days", "2", "-newkey", "rsa:2048", "-nodes"]
    extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"]
    if issuer:
        subject += ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"]
        extensions = ["basicConstraints=critical,CA:FALSE", f"subjectAltName=DNS:{host}"]
    for extension in extensions:
        subject += ["-addext", extension]
    subprocess.run(
        ["openssl", "req", "-x509", *subject, "-keyout", f"{name}.key", "-out", f"{name}.pem"],
        cwd=directory, check=True, capture_output=True,
    )  # fmt: skip
