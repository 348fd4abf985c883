"""`kedro dolt init` from a remote whose owner means harm."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import dolt, run_kedro
from helpers import query

from kedro_doltdb.dolt_cli import find_dolt


@pytest.mark.thorough
def test_what_a_clone_brings_is_named_or_does_nothing(project: Path, tmp_path: Path) -> None:
    remote, stolen = tmp_path / "remote", tmp_path / "stolen"
    remote.mkdir()
    for statement in (
        "CREATE TABLE watched (id INT PRIMARY KEY); CREATE TABLE ticks (id INT AUTO_INCREMENT PRIMARY KEY)",
        f"CREATE PROCEDURE `take\x1b[31m`() CALL DOLT_BACKUP('sync-url', 'file://{stolen}')",
        "CREATE TRIGGER spy AFTER INSERT ON watched FOR EACH ROW CALL `take\x1b[31m`()",
        "CREATE VIEW kedro_runs AS SELECT 1 AS run_id",
        "CREATE EVENT tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO ticks VALUES (NULL)",
        "INSERT INTO dolt_ignore VALUES ('example_*', true)",
        "DELETE FROM ticks; CALL DOLT_COMMIT('-Am', 'Gifts')",
    ):
        dolt(project, "sql", "-q", statement)
    dolt(project, "config", "--local", "--add", "user.name", "Mallory")
    dolt(project, "remote", "add", "origin", f"file://{remote}")
    dolt(project, "push", "origin", "main")
    shutil.rmtree(project / "data" / ".dolt")
    shutil.rmtree(project / "data" / ".doltcfg", ignore_errors=True)
    with open(project / "conf" / "base" / "dolt.yml", "a") as file:
        file.write(f"\nremote: {{url: 'file://{remote}'}}\n")
    done = run_kedro(project, "dolt", "init")
    assert "Warning: the clone brings code, event tick, trigger spy, procedure take\\x1b[31m" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr and not stolen.exists()
    config = subprocess.run(
        [find_dolt(), "config", "--local", "--list"], cwd=project / "data", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "Mallory" not in config.stdout
    for command in (["run"], ["dolt", "runs"], ["dolt", "status"], ["dolt", "lineage", "example_iris_data"]):
        done = run_kedro(project, *command, check=False)
        assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
        assert "kedro_runs is not kedro-dolt's journal: it is a view" in " ".join(
            (done.stdout + done.stderr).split()
        )
    script = (
        "import time\nfrom pathlib import Path\n"
        "from kedro_doltdb.catalog.credentials import Database\nfrom kedro_doltdb.settings import Settings\n"
        "with Database(Path.cwd(), Settings()).serving() as repository:\n    time.sleep(3)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=project, check=True)
    assert query(project, "SELECT COUNT(*) AS n FROM ticks AS OF 'HEAD'") == [{"n": "0"}]
