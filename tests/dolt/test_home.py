"""A user id without a name and without a home, as containers have them: everything works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import server_is_running

SCRIPT = """
from pathlib import Path
from kedro_doltdb.dolt.address import Address
from kedro_doltdb.dolt_cli import InitialTable, clone, identity, initialise
from kedro_doltdb.server.external import ExternalServer
from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.server.managed import ManagedServer
from kedro_doltdb.tables.table_cache import TableCache

initialise(Path("data"), [InitialTable("t", "t.csv", ("id",), "Import t")])
server = ManagedServer(Path("data").absolute())
lease = server.acquire("one")
address = lease.address
repository = Repository(address, "{} <{}>".format(*identity(Path("data"))))
with repository.on() as cursor:
    cursor.execute("CREATE TABLE n (a INT)")
assert repository.commit_all("main", "n")
Path("share").mkdir()
with repository.on() as cursor:
    cursor.execute("CALL DOLT_REMOTE('add', 'origin', %s)", (Path("share").absolute().as_uri(),))
    cursor.execute("CALL DOLT_PUSH('origin', 'main')")
lease.release()
Path("clone").mkdir()
assert clone(Path("clone/data"), Path("share").absolute().as_uri(), "origin", None, 60)
TableCache.of(server.cache_key_file)
TableCache.of(ExternalServer(Address(1, "", "")).cache_key_file)
print("done")
"""


@pytest.fixture
def nobody() -> list[str]:
    """What a command begins with to run under a number that has no name."""
    command = ["unshare", "--user", "--map-user=45678"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("needs user namespaces, to be a user without a name")
    return command


@pytest.mark.parametrize("home", [None, "", "/sys", "/sys/nobody", "/dev/null"])
def test_a_user_without_a_home(tmp_path: Path, nobody: list[str], home: str | None) -> None:
    (tmp_path / "t.csv").write_text("id,x\n1,2\n")
    env = {name: value for name, value in os.environ.items() if name not in ("HOME", "USER", "LOGNAME")}
    done = subprocess.run(
        [*nobody, sys.executable, "-c", SCRIPT],
        cwd=tmp_path, env={**env, **({} if home is None else {"HOME": home})},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "done\n", done.stderr
    assert not server_is_running(tmp_path)
