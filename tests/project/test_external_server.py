"""A server that somebody else runs: the same project, a change of configuration, the rights of the docs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import run_kedro, start_kedro
from external_dolt import DATABASE, PASSWORD, External, kedro, make_certificate, use
from helpers import break_node, let_go, start_slow_run
from helpers import hashes as managed_hashes
from test_notebook import script

from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.errors import ConfigError, ServerError
from kedro_doltdb.journal.store import Run
from kedro_doltdb.run.publish import Publisher
from kedro_doltdb.run.record_store import records_of
from kedro_doltdb.run.records import Record
from kedro_doltdb.run.recovery import recover
from kedro_doltdb.run.transaction import Transaction
from kedro_doltdb.server.external import ExternalServer


@pytest.fixture
def external(generated: Path, tmp_path: Path) -> Iterator[External]:
    server = External(tmp_path / "server", generated / "data")
    try:
        server.start()
        server.let_in()
        yield server
    finally:
        server.stop()


@pytest.fixture
def project(project: Path, external: External, monkeypatch: pytest.MonkeyPatch) -> Path:
    use(project, external.port)
    monkeypatch.setenv("DOLT_SECRET", PASSWORD)
    return project


@pytest.mark.thorough
def test_runs_with_the_rights_of_the_docs(project: Path, external: External, generated: Path) -> None:
    managed = project.parent / "managed"
    shutil.copytree(generated, managed)
    run_kedro(managed, "run", "--params", "example_test_data_ratio=0.3")

    assert "Committed" in kedro(project, "run", "--params", "example_test_data_ratio=0.3")
    assert external.hashes() == managed_hashes(managed)
    output = kedro(project, "run", "--params", "example_test_data_ratio=0.1")
    assert "See it with: kedro dolt compare" in output
    assert "example_test_data_ratio 0.3 0.1" in kedro(project, "dolt", "compare")
    (run_id,) = re.findall(r"Update data from Kedro run (\S+) with params", external.messages()[0])
    assert run_id in kedro(project, "dolt", "runs") and "refuses LOAD DATA" not in output
    assert "example_predictions" in kedro(project, "dolt", "lineage", "example_metrics")
    assert run_id in kedro(project, "dolt", "blame", "example_metrics")
    assert "main" in kedro(project, "dolt", "status")
    assert "Committed" in kedro(project, "run", "--runner", "ParallelRunner", "--params", "dolt_branch=two")
    assert external.branches() == ["kedro/state", "main", "two"]
    assert external.root("SELECT COUNT(*) FROM unfinished_runs", branch="kedro/state") == [(0,)]
    assert not (project / "data" / ".dolt").exists()
    assert PASSWORD not in external.log and PASSWORD not in str(external.root("SELECT * FROM kedro_runs"))
    for command in (["init"], ["server", "--user", "ada"], ["sql"]):
        output = kedro(project, "dolt", *command, code=1)
        assert f"the data is on 127.0.0.1:{external.port}/iris and not in data/" in output


def test_a_failed_run_is_resumed(project: Path, external: External) -> None:
    before = external.hashes()
    break_node(project, "report_accuracy")
    os.environ["BREAK"] = "raise ValueError('broken')"
    try:
        output = kedro(project, "run", "--params", "example_test_data_ratio=0.3", code=1)
    finally:
        del os.environ["BREAK"]
    assert "The run was not published" in output
    assert external.hashes() == before and len(external.branches()) == 3
    (kept,) = (branch for branch in external.branches() if branch.startswith("kedro/2"))
    assert "Failed in report_accuracy" in kedro(project, "dolt", "show", kept)
    nodes = "--from-nodes=report_accuracy"
    output = kedro(project, "run", nodes, "--params", "example_test_data_ratio=0.3")
    assert "took over" in output and "Committed" in output
    assert external.hashes() != before


@pytest.mark.thorough
def test_a_run_that_was_killed_is_seen_to_from_elsewhere(project: Path, external: External) -> None:
    elsewhere = project.parent / "elsewhere"
    shutil.copytree(project, elsewhere)
    break_node(project, "report_accuracy")
    process = start_slow_run(project, "run", "--runner", "ParallelRunner")
    # Its workers outlive it, and must not hold its lease.
    process.send_signal(signal.SIGKILL)
    process.wait()
    try:
        deadline = time.monotonic() + 30
        while "was killed; what it wrote is kept" not in (output := kedro(elsewhere, "run")):
            assert time.monotonic() < deadline, output
        assert "Committed" in output or "changed no data" in output
        assert [branch for branch in external.branches() if branch.startswith("kedro/2")]
        assert "killed" in kedro(elsewhere, "dolt", "runs")
    finally:
        (project / "go").touch()
        os.killpg(process.pid, signal.SIGKILL)
        assert process.stdout
        process.stdout.close()


@pytest.mark.thorough
def test_runs_at_once(project: Path, external: External) -> None:
    processes = [
        start_kedro(project, "run", "--params", f"dolt_branch=b{n},example_test_data_ratio=0.{n}")
        for n in range(1, 5)
    ]
    for process in processes:
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 0 and "Committed" in output, output
    assert external.branches() == ["b1", "b2", "b3", "b4", "kedro/state", "main"]
    assert len({str(external.hashes(f"b{n}")) for n in range(1, 5)}) == 4
    assert [len(external.messages(f"b{n}")) for n in range(1, 5)] == [len(external.messages()) + 1] * 4


@pytest.mark.thorough
def test_the_server_goes_in_the_middle_of_a_run(project: Path, external: External) -> None:
    before, log = external.hashes(), external.messages()
    break_node(project, "report_accuracy")
    process = start_slow_run(project, "run")
    external.stop(signal.SIGKILL)
    output = re.sub(r"\s+", " ", let_go(project, process))
    assert process.returncode == 1
    assert "The Dolt server has ended, or does not answer" in output and PASSWORD not in output
    assert "The Dolt server 127.0.0.1" in kedro(project, "run", code=1)
    external.start()
    assert (external.hashes(), external.messages()) == (before, log)
    output = kedro(project, "run", "--params", "example_test_data_ratio=0.3")
    assert "was killed" in output and "Committed" in output
    assert len(external.messages()) == len(log) + 1


@pytest.mark.thorough
def test_a_run_whose_lease_was_lost_is_not_published(project: Path, external: External) -> None:
    log = external.messages()
    break_node(project, "report_accuracy")
    process = start_slow_run(project, "run")
    locked = "SELECT id FROM information_schema.processlist WHERE user = 'kedro' AND command = 'Sleep'"
    for (number,) in external.root(locked):
        external.root(f"KILL {number}")
    output = re.sub(r"\s+", " ", let_go(project, process))
    assert process.returncode == 1 and "lost its connection to the Dolt server" in output
    assert external.messages() == log
    assert "Committed" in kedro(project, "run")


@pytest.mark.thorough
def test_a_server_that_takes_no_local_files(project: Path, external: External) -> None:
    kedro(project, "run", "--params", "dolt_branch=loaded")
    external.root("SET GLOBAL local_infile = 0")
    output = kedro(project, "run", "--params", "dolt_branch=inserted")
    assert output.count("127.0.0.1 refuses LOAD DATA LOCAL") == 1
    external.root("SET GLOBAL local_infile = 1", "REVOKE FILE ON *.* FROM kedro@'%'")
    output = kedro(project, "run", "--params", "dolt_branch=denied")
    assert output.count("127.0.0.1 refuses LOAD DATA LOCAL (command denied") == 1
    assert external.hashes("loaded") == external.hashes("inserted") == external.hashes("denied")


@pytest.mark.thorough
def test_a_server_that_commits_each_transaction_and_limits_results(
    project: Path, external: External, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = external.messages()
    external.root("SET GLOBAL dolt_transaction_commit = 1", "SET GLOBAL sql_select_limit = 2")
    assert "Committed" in kedro(project, "run", "--params", "example_test_data_ratio=0.3")
    external.root("SET GLOBAL sql_select_limit = 2147483647")
    assert ("test_rows", 45.0) in external.root("SELECT * FROM example_metrics")
    assert external.messages()[1:] == log and len(external.messages("kedro/state")) == len(log)
    break_node(project, "report_accuracy")
    with monkeypatch.context() as patch:
        patch.setenv("BREAK", "raise ValueError('broken')")
        output = kedro(project, "run", "--params", "example_test_data_ratio=0.1", code=1)
    assert "what the run wrote is kept on kedro/" in output
    nodes = "--from-nodes=report_accuracy"
    assert "took over" in kedro(project, "run", nodes, "--params", "example_test_data_ratio=0.1")
    assert external.messages()[2:] == log


@pytest.mark.thorough
def test_fast_tables(
    project: Path, external: External, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    kedro(project, "run", "--params", "dolt_branch=stock")
    catalog = project / "conf" / "base" / "catalog.yml"
    text = catalog.read_text().replace("pandas.SQLTableDataset", "kedro_doltdb.DoltTableDataset")
    entry = r"  save_args:\n    if_exists: replace\n    method: \$\{dolt.bulk_load:(\w+)\}\n"
    catalog.write_text(re.sub(entry, r"  primary_key: \1\n", text))
    kedro(project, "run", "--params", "dolt_branch=fast")
    assert external.root("SELECT * FROM example_metrics", branch="fast") == external.root(
        "SELECT * FROM example_metrics", branch="stock"
    )
    assert (tmp_path / "HOME" / ".config" / "kedro-dolt" / "cache-key").stat().st_mode & 0o77 == 0
    assert list((tmp_path / "XDG_CACHE_HOME" / "kedro-dolt" / "tables").glob("*.arrow"))
    external.root("SET GLOBAL local_infile = 0")
    kedro(project, "run", "--params", "dolt_branch=inserted")
    assert external.hashes("inserted") == external.hashes("fast")


def test_the_catalog_outside_a_run(project: Path, external: External) -> None:
    code = (
        "from kedro.framework.startup import bootstrap_project\n"
        "from kedro.framework.session import KedroSession\n"
        "bootstrap_project('.')\n"
        "with KedroSession.create() as session:\n"
        "    catalog = session.load_context().catalog\n"
        "    print(len(catalog.load('example_iris_data')), repr(catalog))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True)
    assert "150" in done.stdout, done.stderr
    assert PASSWORD not in done.stdout + done.stderr


# TLS


@pytest.mark.thorough
def test_the_data_in_python(project: Path, external: External) -> None:
    for ratio in (0.1, 0.2):
        kedro(project, "run", "--params", f"example_test_data_ratio={ratio}")
    with open(project / "conf" / "base" / "catalog.yml", "a") as file:
        file.write(
            "\nthen:\n  type: kedro_doltdb.DoltTableDataset\n  credentials: dolt\n"
            "  table_name: example_test_x\n  primary_key: sample_id\n  at: HEAD~1\n"
        )
    said = script(
        project,
        """
        def error(function):
            try:
                return str(function())
            except kedro_doltdb.DoltError as refused:
                return refused.message
        runs = data.runs()
        say([
            len(data.load("example_test_x")), len(data.load("example_test_x", at=runs.index[1])),
            len(data.load("then")), len(data.load("then", at="main")),
            len(data.load("kedro_runs", at="HEAD~1")),
            data.sql("SELECT COUNT(*) AS n FROM example_test_x", at="HEAD~1")["n"].tolist(),
            data.compare().metrics.loc["test_rows"].tolist(),
            error(lambda: data.doltcli), error(lambda: data.sql("CALL DOLT_BRANCH('x')")),
        ])
        """,
    )
    assert said[:7] == [30, 15, 15, 30, 1, [15], [15.0, 30.0, 15.0]]
    assert said[7].startswith("The data is on 127.0.0.1") and said[8].startswith("Only queries can be sent")
    assert external.branches() == ["kedro/state", "main"]


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of this test")
def test_tls(
    project: Path, external: External, generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "certificates"
    directory.mkdir()
    for args in (("ours",), ("other",), ("server", "ours"), ("elsewhere", "ours", "dolt.example.com")):
        make_certificate(directory, *args)
    for server, host, authority, words in (
        ("server", "localhost", "ours", None),
        ("server", "localhost", "other", "certificate verify failed"),
        ("server", "localhost", None, "certificate verify failed"),
        ("server", "127.0.0.1", "ours", "certificate verify failed: IP address mismatch"),
        ("elsewhere", "localhost", "ours", "certificate verify failed: Hostname mismatch"),
    ):
        encrypted = External(
            tmp_path / f"{server} {host} {authority}", generated / "data",
            tls_cert=str(directory / f"{server}.pem"), tls_key=str(directory / f"{server}.key"),
            require_secure_transport=True,
        )  # fmt: skip
        try:
            encrypted.start()
            encrypted.let_in()
            trust = {"ssl_ca": str(directory / f"{authority}.pem")} if authority else {"tls": True}
            use(project, encrypted.port, host=host, **trust)
            output = kedro(project, "run", code=1 if words else 0)
            assert (words or "Committed") in output
            if words:
                assert "Traceback" not in output and len(encrypted.messages()) == len(external.messages())
        finally:
            encrypted.stop()
    # A server without TLS gets no password.
    use(project, external.port, host="localhost", ssl_ca=str(directory / "ours.pem"))
    assert "doesn't support" in kedro(project, "run", code=1)


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of this test")
def test_a_server_that_asks_for_a_certificate(project: Path, generated: Path, tmp_path: Path) -> None:
    directory = tmp_path / "certificates"
    directory.mkdir()
    for args in (("ours",), ("server", "ours"), ("kedro", "ours", "client"), ("other",), ("bad", "other")):
        make_certificate(directory, *args)
    ours, own = (
        str(directory / "ours.pem"),
        {f"ssl_{what}": str(directory / f"kedro.{end}") for what, end in (("cert", "pem"), ("key", "key"))},
    )
    server = External(
        tmp_path / "strict", generated / "data",
        tls_cert=str(directory / "server.pem"), tls_key=str(directory / "server.key"), ca_cert=ours,
        require_client_cert=True, require_secure_transport=True,
    )  # fmt: skip
    server.encryption = own
    try:
        server.start()
        server.let_in()
        use(project, server.port, host="localhost", ssl_ca=ours, **own)
        assert "Committed" in kedro(project, "run")
        for wrong in ({}, {name: path.replace("kedro.", "bad.") for name, path in own.items()}):
            use(project, server.port, host="localhost", ssl_ca=ours, **wrong)
            output = kedro(project, "run", code=1)
            assert f"The Dolt server localhost:{server.port}/iris cannot be used" in output
            assert "Traceback" not in output
    finally:
        server.stop()


@pytest.mark.parametrize("optional", [(), (0,), (1,), (0, 1)], ids=str)
def test_the_rights_of_the_docs_on_a_database_that_no_run_has_used(
    generated: Path, tmp_path: Path, optional: tuple[int, ...]
) -> None:
    server = External(tmp_path / "fresh", generated / "data")
    try:
        server.start()
        needed, more = server.rights()
        server.root(*needed, *(more[number] for number in optional))
        publish_one(server)
        assert server.branches() == ["kedro/state", "main"]
        assert server.root("SELECT COUNT(*) FROM unfinished_runs", branch="kedro/state") == [(0,)]
    finally:
        server.stop()


def test_a_run_with_the_first_grant_alone(project: Path, external: External) -> None:
    external.root("DROP USER kedro@'%'", "SET GLOBAL local_infile = 0")
    external.root(*external.rights()[0])
    output = kedro(project, "run", "--params", "example_test_data_ratio=0.3")
    assert "Committed" in output and "refuses LOAD DATA LOCAL" in output
    external.root("DROP USER kedro@'%'")
    external.root(external.rights()[0][0], "GRANT SELECT, EXECUTE ON iris.* TO kedro@'%'")
    assert "example_test_data_ratio" in kedro(project, "dolt", "runs", "--json")


def test_two_databases_with_the_same_branches_and_run_ids(external: External) -> None:
    rights = external.rights()[0][1].replace("iris.*", "other.*")
    external.root("CREATE DATABASE other", rights, branch="")
    first = ExternalServer.from_credentials("dolt", external.credentials())
    lease = first.acquire("one")
    second = ExternalServer.from_credentials("dolt", {**external.credentials(), "database": "other"})
    try:
        assert first.is_leased("one") and not second.is_leased("one")
        with Repository(first._address, "").locked("main"):
            publish_one(external, "other")
        assert not external.root("SHOW TABLES LIKE 'one'")
    finally:
        lease.release()
    publish_one(external)
    assert external.root("SHOW TABLES LIKE 'one'")


def publish_one(external: External, database: str = DATABASE) -> None:
    """Do what a run does with the server, without Kedro."""
    server = ExternalServer.from_credentials("dolt", {**external.credentials(), "database": database})
    lease = server.acquire("one")
    address = lease.address
    try:
        repository = Repository(address, "Ada <ada@localhost>")
        records = records_of(server, address)
        assert recover(repository, records, server.is_leased) == []
        record = Record("one", "main", repository.head("main"), [], run=Run("one"))
        transaction = Transaction(Publisher(repository, records, record))
        transaction.begin()
        with repository.on(record.branch) as cursor:
            cursor.execute("CREATE TABLE one (id INT PRIMARY KEY)")
        records.add_complete("one", ["one"])
        assert records.complete(record) == {"one"} and records.all() == [record]
        assert server.is_leased("one")
        assert transaction.publish("One table")
    finally:
        lease.release()


def test_a_record_that_cannot_be_read_is_set_aside(
    external: External, caplog: pytest.LogCaptureFixture
) -> None:
    publish_one(external)
    damage = (
        "''", "'{'", "'null'", f"'{'[' * 5000}'", "REPEAT('x', 100000)", "'{\"version\": 9}'",
    )  # fmt: skip
    for number, text in enumerate(damage):
        external.root(f"INSERT INTO unfinished_runs VALUES ('r{number}', {text})", branch="kedro/state")
    external.root("DROP TABLE one", "CALL DOLT_COMMIT('-Am', 'again')")
    publish_one(external)
    assert len([message for message in caplog.messages if "is set aside as" in message]) == len(damage)
    caplog.clear()
    external.root("DROP TABLE one", "CALL DOLT_COMMIT('-Am', 'again')")
    publish_one(external)
    assert caplog.messages == []


@pytest.mark.parametrize("name", ["unfinished_runs", "Complete_Datasets"])
@pytest.mark.parametrize(
    "other",
    [
        "CREATE VIEW {} AS SELECT 1 AS one",
        "CREATE VIEW {} AS SELECT 'x' AS name, 'y' AS record, 'z' AS dataset",
        "CREATE TABLE {} (id INT PRIMARY KEY)",
        "CREATE TABLE {} (name VARCHAR(255), record LONGTEXT, dataset VARCHAR(255))",
        "CREATE TABLE {} (name VARCHAR(255) PRIMARY KEY, dataset VARCHAR(9), record VARCHAR(9))",
        "CREATE TABLE {} (name VARCHAR(255), dataset VARCHAR(255), record LONGTEXT, more INT NOT NULL, "
        "PRIMARY KEY (name, dataset))",
    ],
)
def test_something_else_that_has_the_name_of_a_table_of_runs(
    external: External, caplog: pytest.LogCaptureFixture, name: str, other: str
) -> None:
    publish_one(external)
    again = ("DROP TABLE one", "CALL DOLT_COMMIT('-Am', 'again')")
    for aside in (f"{name}_unreadable", f"{name}_unreadable1"):
        external.root(f"DROP TABLE {name}", other.format(name), branch="kedro/state")
        there = external.root(f"SHOW COLUMNS FROM {name}", branch="kedro/state")
        external.root(*again)
        publish_one(external)
        (warning,) = caplog.messages
        # Dolt writes the names of views in small letters.
        assert warning.lower().startswith(f"{name.lower()} on the branch kedro/state cannot be used")
        assert f"set aside as {aside.lower()}." in warning.lower()
        assert external.root(f"SHOW COLUMNS FROM {aside}", branch="kedro/state") == there
        caplog.clear()
        external.root(*again)
        publish_one(external)
        assert caplog.messages == []


def test_a_server_that_has_as_many_connections_as_it_takes(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedro_doltdb.dolt.address.CONNECT_TIMEOUT", 1.0)
    server = External(tmp_path / "full", generated / "data", max_connections=1)
    try:
        server.start()
        server.let_in()
        busy = ExternalServer.from_credentials("dolt", server.credentials())._address.connect()
        with busy, pytest.raises(ServerError, match="as many as its `max_connections` allows"):
            ExternalServer.from_credentials("dolt", server.credentials()).acquire("one")
    finally:
        server.stop()


# The configuration


def test_what_the_credentials_must_say(tmp_path: Path) -> None:
    right = {"host": "h", "user": "u", "password": "secret", "database": "d"}
    for change, words in (
        ({"host": None}, "`dolt.host` must be text"),
        ({"password": 5}, "`dolt.password` must be text"),
        ({"pasword": "x"}, "`dolt.pasword` is not a key of a server: did you mean `password`?"),
        ({"port": "3306"}, "`dolt.port` must be a whole number"),
        ({"tls": "yes"}, "`dolt.tls` must be true or false"),
        ({"ssl_ca": str(tmp_path / "none")}, "`dolt.ssl_ca` must be a file that can be read"),
    ):
        with pytest.raises(ConfigError, match=re.escape(words)) as caught:
            ExternalServer.from_credentials("dolt", {**right, **change})
        assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="has no mapping `dolt`"):
        ExternalServer.from_credentials("dolt", None)


@pytest.mark.parametrize(
    ("more", "encrypted"),
    [({"host": "db"}, True), ({"host": "db", "tls": False}, False), ({"host": "localhost"}, False)],
)
def test_what_goes_to_another_machine_is_encrypted(more: dict[str, object], encrypted: bool) -> None:
    right = {"user": "u", "password": "secret", "database": "d"}
    _, address = "", ExternalServer.from_credentials("dolt", {**right, **more})._address
    assert (address.tls is not None) is encrypted
    assert "secret" not in repr(address)


def test_settings_that_contradict_the_server(project: Path) -> None:
    (project / "conf" / "local" / "dolt.yml").write_text("managed: false\nport: 3306\n")
    assert "the server's port belongs into the credentials" in kedro(project, "run", code=1)
    (project / "conf" / "local" / "dolt.yml").write_text("")
    assert "set `managed: false` in conf/*/dolt.yml" in kedro(project, "run", code=1)


@pytest.mark.thorough
def test_checks_with_the_rights_of_the_docs(project: Path, external: External) -> None:
    config = project / "conf" / "base" / "dolt.yml"
    query = "SELECT to_sample_id FROM dolt_diff(@base, @branch, 'example_iris_data')"
    checks = {"example_predictions": {"max_rows_changed": 5, "not_null": "species", "sql": query}}
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "checks": checks}))
    kedro(project, "run")
    before = external.hashes()
    output = kedro(project, "run", "--params", "example_test_data_ratio=0.3", code=1)
    assert "because a check failed: example_predictions.max_rows_changed. " in output
    assert "15 of 30 rows changed" in output and external.hashes() == before
    (run_id,) = re.findall(r"Run (\S+) is not published", output)
    assert "failed" in kedro(project, "dolt", "check", "main", f"kedro/{run_id}", code=1)
    assert "unused" not in kedro(project, "dolt", "check", "main", "main")

    # The administrator's tests are asked by Dolt itself.
    test = "INSERT INTO dolt_tests VALUES ('few', 'g', 'SELECT * FROM {}', 'expected_rows', '<=', '200')"
    external.root(
        test.format("example_iris_data"), "CALL DOLT_COMMIT('-Am', 'Few')",
        "SET @@GLOBAL.dolt_commit_verification_groups = 'g'",
    )  # fmt: skip
    accept = ("--accept", "max_rows_changed", "--reason", "More tests")
    assert "Published" in kedro(project, "dolt", "publish", run_id, *accept)
    assert external.hashes() != before
    assert external.root("SELECT status FROM kedro_checks WHERE table_name = 'dolt_tests'") == [("passed",)]
    ((message,),) = external.root("SELECT message FROM dolt_log LIMIT 1")
    assert "Check accepted by " in message and "(More tests)" in message
    external.root(
        "UPDATE dolt_tests SET assertion_value = '7'", "CALL DOLT_COMMIT('-am', 'F', '--skip-verification')"
    )
    output = kedro(project, "run", code=1)
    assert "dolt_tests.few" in output and "Traceback" not in output


def test_runs_only_what_changed(project: Path, external: External) -> None:
    # A file is a run's own machine's, whoever runs the server.
    catalog = yaml.safe_load((project / "conf" / "base" / "catalog.yml").read_text())
    catalog["example_iris_data"] = {"type": "pandas.CSVDataset", "filepath": "data/01_raw/iris.csv"}
    (project / "conf" / "base" / "catalog.yml").write_text(yaml.safe_dump(catalog))
    incremental = ("run", "--runner=kedro_doltdb.IncrementalRunner")
    changed = ("--params", "example_test_data_ratio=0.3")
    assert "3 of 3 nodes ran" in kedro(project, *incremental)
    first = external.hashes()
    assert "3 were skipped" in kedro(project, *incremental)
    assert "parameter example_test_data_ratio 0.2 → 0.3" in kedro(project, "dolt", "plan", *changed)
    break_node(project, "report_accuracy")
    os.environ["BREAK"] = "raise ValueError('broken')"
    try:
        kedro(project, *incremental, *changed, code=1)
    finally:
        del os.environ["BREAK"]
    assert external.hashes() == first
    # The broken node calls exec, so what it does cannot be told.
    assert "1 of 3 nodes ran, 2 were taken" in kedro(project, *incremental, *changed)
    # Another machine, with the same files: what was computed here is not computed there.
    elsewhere = project.parent / "elsewhere"
    shutil.copytree(project, elsewhere)
    assert "1 of 3 nodes ran, 0 were taken from other runs, 2 were skipped" in kedro(
        elsewhere, *incremental, *changed
    )
