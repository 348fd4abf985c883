"""The dolt command line, on a real Dolt; only a Dolt that is too old or breaks is a script."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kedro_doltdb.dolt_cli import (
    DoltCommandError,
    InitialTable,
    check_version,
    find_dolt,
    identity,
    initialise,
    locate_dolt,
    run_dolt,
)


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def data_dir(tmp_path: Path, empty_home: Path) -> Path:
    """The data/ of a project with one CSV file."""
    data = tmp_path / "próject with space" / "data"
    data.mkdir(parents=True)
    (data / "numbers.csv").write_text("id,x\n1,0.123456789012\n2,\n")
    return data


NUMBERS = InitialTable("numbers", "data/numbers.csv", ("id",), "Import 'numbers'")


class TestFindDolt:
    def test_on_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        executable = script(tmp_path / "dolt", "")
        monkeypatch.delenv("DOLT_PATH", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))

        assert find_dolt() == str(executable)

    def test_dolt_path_goes_before_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        executable = script(tmp_path / "my dolt", "")
        monkeypatch.setenv("DOLT_PATH", str(executable))

        assert find_dolt() == str(executable)

    def test_environment_goes_before_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("scripts", "bin"):
            (tmp_path / name).mkdir()
            script(tmp_path / name / "dolt", "")
        monkeypatch.delenv("DOLT_PATH", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        monkeypatch.setattr("sysconfig.get_path", {"scripts": str(tmp_path / "scripts")}.__getitem__)

        assert locate_dolt() == (str(tmp_path / "scripts" / "dolt"), "in the Python environment")

    def test_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DOLT_PATH", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(DoltCommandError, match=r"on PATH.*kedro dolt install.*kedro-doltdb\[dolt\]"):
            find_dolt()

    @pytest.mark.parametrize("kind", ["missing", "directory", "not executable"])
    def test_dolt_path_is_wrong(self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        named = tmp_path / "dolt"
        if kind == "directory":
            named.mkdir()
        elif kind == "not executable":
            script(named, "", mode=0o644)
        monkeypatch.setenv("DOLT_PATH", str(named))

        with pytest.raises(DoltCommandError, match=r"DOLT_PATH names .* not an executable file"):
            find_dolt()


class TestCheckVersion:
    def test_real_dolt_is_new_enough(self) -> None:
        check_version(find_dolt())

    @pytest.mark.parametrize("version", ["1.20.0", "1.82.9", "0.99.99"])
    def test_older(self, version: str, tmp_path: Path) -> None:
        with pytest.raises(DoltCommandError, match=rf"Dolt {version}, and 1\.83\.0 or newer is needed"):
            check_version(str(script(tmp_path / "dolt", f"echo dolt version {version}")))

    @pytest.mark.parametrize("version", ["1.83.0", "1.100.0", "2.3.1"])
    def test_newer(self, version: str, tmp_path: Path) -> None:
        check_version(str(script(tmp_path / "dolt", f"echo dolt version {version}")))

    def test_no_dolt_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(DoltCommandError, match="does not answer"):
            check_version(str(script(tmp_path / "dolt", "echo hello")))

    def test_wrong_format(self, tmp_path: Path) -> None:
        (tmp_path / "dolt").write_bytes(b"\x7fELF nonsense")
        (tmp_path / "dolt").chmod(0o755)

        with pytest.raises(DoltCommandError, match="cannot be run"):
            check_version(str(tmp_path / "dolt"))


class TestRunDolt:
    def test_error_carries_dolts_words(self, tmp_path: Path) -> None:
        with pytest.raises(DoltCommandError, match=r"`dolt log` failed .* exit code \d+: .*dolt init"):
            run_dolt(["log"], tmp_path)

    def test_home_is_left_alone(self, tmp_path: Path, empty_home: Path) -> None:
        run_dolt(["version"], tmp_path)

        assert list(empty_home.iterdir()) == []

    @pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
    def test_nothing_goes_over_the_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        trace = tmp_path / "trace"
        traced = script(
            tmp_path / "dolt", f'exec strace -f -e trace=connect -o "{trace}" "{find_dolt()}" "$@"'
        )
        monkeypatch.setenv("DOLT_PATH", str(traced))

        run_dolt(["version"], tmp_path)

        assert "exited with 0" in trace.read_text()
        assert "AF_INET" not in trace.read_text()


class TestIdentity:
    def test_repository_then_global_then_git_then_user(
        self, tmp_path: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = tmp_path / "data"
        (data / ".dolt").mkdir(parents=True)
        (empty_home / ".dolt").mkdir()
        monkeypatch.setenv("LOGNAME", "somebody")
        assert identity(data) == ("somebody", "somebody@localhost")

        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
        (tmp_path / "gitconfig").write_text("[user]\nname = Git\nemail = git@example.org\n")
        assert identity(data) == ("Git", "git@example.org")

        config = {"user.name": "Global", "user.email": "global@example.org"}
        (empty_home / ".dolt" / "config_global.json").write_text(json.dumps(config))
        assert identity(data) == ("Global", "global@example.org")

        config = {"user.name": "Löcal", "user.email": "local@example.org"}
        (data / ".dolt" / "config.json").write_text(json.dumps(config), encoding="utf-8")
        assert identity(data) == ("Löcal", "local@example.org")

    def test_half_an_identity_does_not_count(
        self, tmp_path: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (empty_home / ".dolt").mkdir()
        (empty_home / ".dolt" / "config_global.json").write_text('{"user.name": "Half"}')
        monkeypatch.setenv("LOGNAME", "somebody")
        monkeypatch.setenv("PATH", str(tmp_path))  # no git there either

        assert identity(tmp_path) == ("somebody", "somebody@localhost")


class TestInitialise:
    def test_one_commit_a_table(self, data_dir: Path) -> None:
        initialise(data_dir, [NUMBERS])

        log = run_dolt(["sql", "-r", "json", "-q", "SELECT message FROM dolt_log"], data_dir)
        assert [row["message"] for row in json.loads(log)["rows"]] == [
            "Import 'numbers'",
            "Initialize data repository",
        ]
        assert "nothing to commit" in run_dolt(["status"], data_dir)
        assert "main" in run_dolt(["branch"], data_dir)

    def test_git_sees_nothing_of_dolt(self, data_dir: Path) -> None:
        subprocess.run(["git", "init", "--quiet"], cwd=data_dir.parent, check=True)

        initialise(data_dir, [NUMBERS])

        git = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=all"],
            cwd=data_dir,
            check=True,
            capture_output=True,
            text=True,
        )
        assert git.stdout == "?? data/numbers.csv\n"

    def test_numbers_keep_their_digits(self, data_dir: Path) -> None:
        initialise(data_dir, [NUMBERS])

        rows = json.loads(run_dolt(["sql", "-r", "json", "-q", "SELECT * FROM numbers"], data_dir))["rows"]
        assert rows == [{"id": 1, "x": 0.123456789012}, {"id": 2}]

    def test_home_is_left_alone(self, data_dir: Path, empty_home: Path) -> None:
        initialise(data_dir, [NUMBERS])

        assert list(empty_home.iterdir()) == []

    def test_author_is_the_user(self, data_dir: Path, empty_home: Path) -> None:
        (empty_home / ".dolt").mkdir()
        config = {"user.name": "Ann O'Hara", "user.email": "ann@example.org", "init.defaultbranch": "trunk"}
        (empty_home / ".dolt" / "config_global.json").write_text(json.dumps(config))

        initialise(data_dir, [NUMBERS])

        assert run_dolt(["log"], data_dir).count("Ann O'Hara <ann@example.org>") == 2
        assert "trunk" not in run_dolt(["branch"], data_dir)

    def test_user_can_commit_without_an_identity(self, data_dir: Path) -> None:
        initialise(data_dir, [NUMBERS])

        dolt = [find_dolt()]
        subprocess.run([*dolt, "sql", "-q", "DELETE FROM numbers"], cwd=data_dir, check=True)
        subprocess.run([*dolt, "commit", "-a", "-m", "Mine"], cwd=data_dir, check=True, env=dict(os.environ))

    def test_key_of_two_columns(self, data_dir: Path) -> None:
        (data_dir / "pairs.csv").write_text("a,b,c\n1,1,x\n1,2,y\n")

        initialise(data_dir, [InitialTable("pairs", "data/pairs.csv", ("a", "b"), "Import pairs")])

        assert "PRIMARY KEY (`a`,`b`)" in run_dolt(["schema", "show", "pairs"], data_dir)

    def test_existing_repository_is_refused_and_kept(self, data_dir: Path) -> None:
        initialise(data_dir, [NUMBERS])
        before = run_dolt(["log"], data_dir)

        with pytest.raises(DoltCommandError, match="is a Dolt repository already"):
            initialise(data_dir, [NUMBERS])

        assert run_dolt(["log"], data_dir) == before

    @pytest.mark.parametrize(
        ("table", "rows", "message"),
        [
            (InitialTable("t", "data/none.csv", ("id",), "m"), "id,x\n1,2\n", r"none\.csv.* does not exist"),
            (InitialTable("t", "data/t.csv", ("no",), "m"), "id,x\n1,2\n", "has no column no, the primary"),
            (InitialTable("t", "data/t.csv", ("id",), "m"), "id,x\n1,2\n1,3\n", "duplicate"),
            (InitialTable("t", "data/t.csv", ("id",), "m"), "", "has no column id"),
        ],
        ids=["no file", "no such key", "key twice", "empty file"],
    )
    def test_failure_leaves_no_repository(
        self, table: InitialTable, rows: str, message: str, data_dir: Path
    ) -> None:
        (data_dir / "t.csv").write_text(rows)

        with pytest.raises(DoltCommandError, match=message):
            initialise(data_dir, [NUMBERS, table])

        assert sorted(path.name for path in data_dir.iterdir()) == ["numbers.csv", "t.csv"]

    def test_killed_in_the_middle_it_can_be_done_again(self, data_dir: Path) -> None:
        code = (
            "from pathlib import Path\n"
            "from kedro_doltdb.dolt_cli import InitialTable, initialise\n"
            f"initialise(Path({str(data_dir)!r}), [{NUMBERS!r}])"
        )
        process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        while not list(data_dir.glob(".dolt-new-*/data/.dolt/noms")):
            assert process.poll() is None
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

        assert not (data_dir / ".dolt").exists()
        initialise(data_dir, [NUMBERS])

        assert "nothing to commit" in run_dolt(["status"], data_dir)
        assert not list(data_dir.glob(".dolt-new-*"))

    def test_missing_dolt_leaves_no_repository(
        self, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOLT_PATH", str(tmp_path / "none"))

        with pytest.raises(DoltCommandError, match="DOLT_PATH"):
            initialise(data_dir, [NUMBERS])

        assert not (data_dir / ".dolt").exists()
