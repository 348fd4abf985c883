"""Two people, two clones and a remote between them: a directory, and another Dolt server."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest
from conftest import _server_of, dolt, run_kedro
from helpers import branches, break_node, hashes, messages, new_repository, query, server_is_running

from kedro_doltdb.dolt.remote import Remote
from kedro_doltdb.dolt_cli import find_dolt
from kedro_doltdb.errors import ConfigError, RemoteError
from kedro_doltdb.settings import RemoteSettings, Settings


def use_remote(
    project: Path, url: str, pull: str = "before_run", push: str = "after_run", **more: object
) -> None:
    remote = {"url": url, "pull": pull, "push": push, **more}
    (project / "conf" / "local" / "dolt.yml").write_text(json.dumps({"remote": remote}))


def kedro(project: Path, *args: str, check: bool = True, **env: str) -> str:
    done = run_kedro(project, *args, check=check, **env)
    assert (done.returncode == 0) is check, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout + done.stderr)


def run(project: Path, ratio: float, *params: str, check: bool = True, **env: str) -> str:
    values = ",".join([f"example_test_data_ratio={ratio}", *params])
    return kedro(project, "run", "--params", values, check=check, **env)


def as_json(project: Path, *args: str) -> Any:
    return json.loads(run_kedro(project, "dolt", *args, "--json").stdout)


def git_clone(project: Path, directory: Path) -> Path:
    """What a `git clone` of the project has: no Dolt repository."""
    ignored = shutil.ignore_patterns(".dolt", ".doltcfg")
    return Path(shutil.copytree(project, directory, ignore=ignored))


@pytest.fixture
def share(tmp_path: Path) -> Path:
    directory = tmp_path / "shäre of us"
    directory.mkdir()
    return directory


@pytest.fixture
def ada(project: Path, share: Path) -> Path:
    """Ada's project; the remote is empty yet."""
    use_remote(project, share.as_uri())
    return project


@pytest.fixture
def bob(ada: Path, tmp_path: Path) -> Iterator[Path]:
    """Bob's: a git clone, in which `kedro dolt init` has cloned what Ada's first run has pushed."""
    assert "Pushed main to origin" in run(ada, 0.1)
    project = git_clone(ada, tmp_path / "bob" / "iris-dolt")
    assert "is a clone of file://" in kedro(project, "dolt", "init")
    yield project
    assert _server_of(project / "data") is None


def test_two_people_take_turns(ada: Path, bob: Path) -> None:
    assert (messages(bob), hashes(bob)) == (messages(ada), hashes(ada))
    assert (bob / "data" / "01_raw" / "iris.csv").exists()
    assert sorted(path.name for path in (bob / "data").iterdir() if path.is_dir()) == [
        ".dolt", ".doltcfg", "01_raw"
    ]  # fmt: skip
    output = run(bob, 0.2)
    assert "Pushed main to origin" in output and "Pulled" not in output
    output = run(ada, 0.3)
    assert "Pulled 1 commits of main from origin" in output and "Pushed main" in output
    ratios = [re.search(r"[\d.]+(?=})", line) for line in messages(ada)[:3]]
    assert [match and match[0] for match in ratios] == ["0.3", "0.2", "0.1"]
    compared = as_json(ada, "compare")
    assert compared["params"]["example_test_data_ratio"] == {"old": 0.2, "new": 0.3}
    status = kedro(bob, "dolt", "status")
    assert "origin/main 0 ahead, 0 behind" in status  # as last seen: nothing was asked
    assert "Pulled 1 commits" in run(bob, 0.3)
    assert query(bob, "SELECT COUNT(*) AS n FROM kedro_runs") == [{"n": "3"}]
    assert (messages(bob), hashes(bob)) == (messages(ada), hashes(ada))
    assert not server_is_running(bob)


@pytest.mark.thorough
def test_diverged_branches_are_repaired_as_the_message_says(ada: Path, bob: Path) -> None:
    use_remote(bob, url_of(bob), pull="never", push="never")
    run(bob, 0.2)
    run(ada, 0.3)
    use_remote(bob, url_of(bob), pull="never", push="after_run", on_push_failure="fail")
    before = messages(ada)
    output = run(bob, 0.4, check=False)
    assert "Committed" in output and "main was not pushed to origin; the run itself is safe" in output
    assert "have diverged: 2 commits only here, 1 only there" in output
    use_remote(bob, url_of(bob))
    mine = messages(bob)
    output = run(bob, 0.5, check=False)
    assert "Traceback" not in output and (messages(bob), messages(ada)) == (mine, before)
    commands = re.findall(r"`dolt ([^`]+)`", output)
    assert commands == ["branch main-mine main", "reset --hard origin/main"]
    for command in commands:
        dolt(bob, *command.split())
    assert "Pushed main" in run(bob, 0.5)
    assert messages(bob, "main-mine") == mine and messages(bob)[1:] == before
    assert len(as_json(bob, "runs", "--all")) == 5
    # Another branch than the one that is checked out is repaired by another command.
    dolt(ada, "branch", "trial", "main")
    dolt(ada, "push", "origin", "trial")
    dolt(ada, "branch", "--force", "trial", "main~1")
    dolt(ada, "sql", "-q", "USE `data/trial`; CALL DOLT_COMMIT('--allow-empty', '-m', 'Mine')")
    commands = re.findall(r"`dolt ([^`]+)`", run(ada, 0.9, "dolt_branch=trial", check=False))
    assert commands == ["branch trial-mine trial", "branch --force trial origin/trial"]
    for command in commands:
        dolt(ada, *command.split())
    assert "Pushed trial" in run(ada, 0.9, "dolt_branch=trial")


@pytest.mark.parametrize("name", ["gone", "not mounted/gone", "dírectory with space"])
def test_a_directory_that_is_not_there_is_never_made(tmp_path: Path, name: str) -> None:
    with new_repository(tmp_path) as (repository, _):
        remote = Remote(repository, RemoteSettings((tmp_path / name).as_uri()))
        for action in (remote.prepare, lambda: remote.pull("main"), lambda: remote.push("main")):
            with pytest.raises(RemoteError, match="is not there: mount it"):
                action()
            assert not (tmp_path / name).exists() and not (tmp_path / "not mounted").exists()
        (tmp_path / name).mkdir(parents=True)
        remote.prepare()
        assert remote.pull("main") == 0 and remote.push("main")


@pytest.mark.thorough
def test_a_push_that_fails_spoils_nothing_and_the_next_run_catches_up(
    ada: Path, bob: Path, share: Path
) -> None:
    use_remote(ada, share.as_uri(), pull="never")
    away = share.rename(share.with_name("away"))
    output = run(ada, 0.2)
    assert "was not pushed to origin" in output and "is not there: mount it" in output
    assert not share.exists() and len(messages(ada)) == 4
    use_remote(ada, share.as_uri(), pull="never", on_push_failure="fail")
    assert "changed no data" in run(ada, 0.2, check=False)
    use_remote(ada, share.as_uri())
    assert "is not there: mount it" in run(ada, 0.3, check=False)
    assert len(messages(ada)) == 4
    away.rename(share)
    output = run(ada, 0.2)
    assert "changed no data" in output and "Pushed main to origin" in output
    output = run(bob, 0.2)
    assert "Pulled 1 commits" in output and "Pushed" not in output
    # What a failed run leaves is nobody else's business.
    break_node(ada, "make_predictions")
    run(ada, 0.9, check=False, BREAK="raise RuntimeError('broken')")
    assert len(branches(ada)) == 2
    run(ada, 0.4)
    shutil.rmtree(bob / "data" / ".dolt")
    kedro(bob, "dolt", "init")
    assert query(bob, "SELECT name FROM dolt_remote_branches") == [{"name": "remotes/origin/main"}]


@pytest.mark.thorough
def test_edits_of_the_user_are_never_lost_to_a_pull(ada: Path, bob: Path) -> None:
    run(ada, 0.2)
    dolt(bob, "sql", "-q", "UPDATE example_iris_data SET species = 'rosa' WHERE sample_id = 1")
    output = run(bob, 0.2)
    assert "Pulled 1 commits" in output and "Committed the uncommitted edits of example_iris_data" in output
    run(ada, 0.3)
    dolt(ada, "sql", "-q", "UPDATE example_metrics SET value = 7 WHERE metric = 'accuracy'")
    run(bob, 0.4)
    dolt(ada, "sql", "-q", "UPDATE example_metrics SET value = 8 WHERE metric = 'accuracy'")
    log = messages(ada)
    output = run(ada, 0.4, check=False)
    assert "example_metrics has uncommitted edits on main and has changed on origin/main" in output
    assert messages(ada) == log
    assert query(ada, "SELECT value FROM example_metrics WHERE metric = 'accuracy'") == [{"value": "8"}]


def test_another_remote_of_that_name_is_left_alone(ada: Path, share: Path) -> None:
    dolt(ada, "remote", "add", "origin", f"{share.as_uri()}-2")
    output = run(ada, 0.2, check=False)
    assert "The remote origin of data/ is" in output and "dolt remote remove origin" in output
    assert len(messages(ada)) == 2 and list(share.iterdir()) == [] and not server_is_running(ada)


@pytest.mark.slow  # Dolt tries an address where nobody listens for several seconds
def test_init_makes_nothing_of_a_remote_that_is_away_and_all_of_one_that_is_empty(
    ada: Path, share: Path, tmp_path: Path
) -> None:
    clone = git_clone(ada, tmp_path / "clone")
    use_remote(clone, f"{share.as_uri()}-2")
    assert "is not there: mount it" in kedro(clone, "dolt", "init", check=False)
    use_remote(clone, "http://127.0.0.1:1/nothing")
    assert "`dolt clone --remote` failed" in kedro(clone, "dolt", "init", check=False)
    with deaf() as port:
        use_remote(clone, f"http://127.0.0.1:{port}/data", timeout=1)
        assert "`dolt clone` took more than 1 s" in kedro(clone, "dolt", "init", check=False)
        use_remote(clone, f"http://127.0.0.1:{port}/data")
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", "dolt", "init"], cwd=clone, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not list((clone / "data").glob(".dolt-new-*")):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) != 0
    assert [path.name for path in (clone / "data").iterdir()] == ["01_raw"]
    use_remote(clone, share.as_uri())
    assert "holds nothing yet: data/ will be the first there" in kedro(clone, "dolt", "init")
    assert "Pushed main" in run(clone, 0.2)


@contextmanager
def deaf() -> Iterator[int]:
    """A port where somebody accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_remote_that_never_answers_ends_the_run_in_time(ada: Path) -> None:
    with deaf() as port:
        url = f"http://127.0.0.1:{port}/data"
        use_remote(ada, url, timeout=2)
        output = run(ada, 0.2, check=False)
        assert f"The remote origin ({url}) took more than 2 s" in output and len(messages(ada)) == 2
        use_remote(ada, url, pull="never", timeout=2)
        output = run(ada, 0.2)
        assert "main was not pushed to origin" in output and "took more than 2 s" in output
    assert len(messages(ada)) == 3 and not server_is_running(ada)


@contextmanager
def hub(directory: Path, origin: Path) -> Iterator[int]:
    """A clone of ``origin`` in a Dolt server that is a remote for the user ada; gives that port."""
    directory.mkdir()
    subprocess.run(
        [find_dolt(), "clone", origin.as_uri(), "data"], cwd=directory, check=True, capture_output=True
    )
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    config = {"listener": {"host": "127.0.0.1", "port": ports[0]}, "remotesapi": {"port": ports[1]}}
    (directory / "server.yaml").write_text(json.dumps({"log_level": "warning", **config}))
    with open(directory / "server.log", "wb") as log:
        process = subprocess.Popen(
            [find_dolt(), "sql-server", "--config", "../server.yaml"], cwd=directory / "data",
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                connection = pymysql.connect(host="127.0.0.1", port=ports[0], user="root", autocommit=True)
                break
            except pymysql.err.Error:
                assert process.poll() is None and time.monotonic() < deadline, (
                    directory / "server.log"
                ).read_text()
                time.sleep(0.05)
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER ada@'127.0.0.1' IDENTIFIED BY %s", (PASSWORD,))
            cursor.execute("GRANT SUPER, CLONE_ADMIN ON *.* TO ada@'127.0.0.1'")
        yield ports[1]
    finally:
        process.terminate()
        process.wait(30)


PASSWORD = "open sesame 42"


@pytest.mark.thorough
def test_a_dolt_server_as_remote(ada: Path, bob: Path, share: Path, tmp_path: Path) -> None:
    env = {"DOLT_REMOTE_PASSWORD": PASSWORD}
    with hub(tmp_path / "hub", share) as port:
        url = f"http://127.0.0.1:{port}/data"
        shutil.rmtree(bob / "data" / ".dolt")
        for project in (ada, bob):
            use_remote(project, url, name="hub", user="ada")
        said = kedro(bob, "dolt", "init", check=False)
        said += kedro(bob, "dolt", "init", check=False, DOLT_REMOTE_PASSWORD="wrong")
        assert not (bob / "data" / ".dolt").exists()
        said += kedro(bob, "dolt", "init", **env)
        output = run(ada, 0.2, check=False)
        assert "started without DOLT_REMOTE_PASSWORD" in output
        output += run(ada, 0.2, check=False, DOLT_REMOTE_PASSWORD="wrong")
        assert "Unauthenticated" in output and "which credentials" in output
        output += run(ada, 0.2, **env)
        assert "Pushed main to hub" in output
        output += run(bob, 0.3, **env)
        assert "Pulled 1 commits of main from hub" in output and "Pushed main to hub" in output
        # A table that is open for editing on the hub is not run over.
        use_remote(bob, url, name="hub", user="ada", on_push_failure="fail")
        assert "Pulled 1 commits" in run(ada, 0.3, **env)
        assert (messages(ada), hashes(ada)) == (messages(bob), hashes(bob))
    output += run(ada, 0.3, check=False, **env)
    assert PASSWORD not in said + output
    for project in (ada, bob):
        for file in (project / "data" / ".dolt").rglob("*"):
            assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("remote", "message"),
    [
        ("file:///x", "`remote` must be a mapping"),
        ({}, "`remote.url` must be the URL"),
        ({"url": "file://x"}, "absolute path"),
        ({"url": "--force"}, "`remote.url` must be the URL"),
        ({"url": "https://ada:sesame@example.org/x"}, "DOLT_REMOTE_PASSWORD"),
        ({"url": "a/b", "push": "always"}, "`remote.push` must be `never` or `after_run`, not 'always'"),
        ({"url": "a/b", "pull": "after_run"}, "`remote.pull` must be `never` or `before_run`"),
        ({"url": "a/b", "on_push_failure": "ignore"}, "`warn` or `fail`"),
        ({"url": "a/b", "timeout": 0}, "`remote.timeout` must be"),
        ({"url": "a/b", "name": "--x"}, "`remote.name` must be"),
        ({"url": "a/b", "user": 1}, "`remote.user` must be"),
        ({"url": "a/b", "pul": "never"}, r"did you mean `remote.pull`\?"),
    ],
)
def test_settings_are_checked(remote: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Settings.from_config({"remote": remote})
    assert "sesame" not in caught.value.message


def url_of(project: Path) -> str:
    config = json.loads((project / "conf" / "local" / "dolt.yml").read_text())
    return str(config["remote"]["url"])
