"""A journal that strangers wrote: what cannot be understood is named and left out; nothing is unbounded."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pymysql.cursors import Cursor
from pymysql.err import OperationalError

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt import answers
from kedro_doltdb.dolt.repository import Repository
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.errors import DoltError
from kedro_doltdb.journal import reader, store
from kedro_doltdb.journal.store import CheckResult, Edge, Execution, Run
from kedro_doltdb.settings import Settings

GOOD = Run("good", started=store.now(), status="succeeded", params={"ä": {"b": [1, "x" * 70_000]}})
SAVED = Edge("node", "metrics", "save", "Metrics", None, "abc")


@pytest.fixture(scope="module")
def repository(dolt_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    path = tmp_path_factory.mktemp("journal")
    initialise(path / "data", [])
    with Database(path, Settings()).serving() as repository:
        yield repository


@pytest.fixture
def cursor(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cursor]:
    monkeypatch.setattr(reader, "_warned", set())
    with repository.on() as cursor:
        yield cursor
        cursor.execute("DROP TABLE IF EXISTS kedro_runs, kedro_lineage, kedro_nodes, kedro_checks")
        cursor.execute("DROP VIEW IF EXISTS kedro_runs")
        cursor.execute("DROP VIEW IF EXISTS kedro_lineage")


def as_text(cursor: Cursor, **values: object) -> None:
    """A journal whose columns take anything, with one row of a run and one of these values."""
    columns = store.columns_of(store.RUNS)[1]
    cursor.execute(f"CREATE TABLE kedro_runs ({', '.join(f'{name} LONGTEXT' for name in columns)})")
    cursor.execute(
        "ALTER TABLE kedro_runs MODIFY COLUMN started DATETIME(6), MODIFY COLUMN finished DATETIME(6)"
    )
    cursor.execute("INSERT INTO kedro_runs (run_id, status) VALUES ('good', 'succeeded')")
    names = ["run_id", *values]
    cursor.execute(
        f"INSERT INTO kedro_runs ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})",
        ["bad", *values.values()],
    )


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"params": "{broken"}, "params is not JSON"),
        ({"params": "[1, 2]"}, "params is not a mapping"),
        ({"filters": '"text"'}, "filters is not a mapping"),
        ({"params": '{"a":' * 900 + "1" + "}" * 900}, "params is nested too deep"),
        ({"params": '{"a":' + "[" * 200_000 + "]" * 200_000 + "}"}, "params is"),
        ({"params": '{"a": ' + "9" * 5000 + "}"}, "params is not JSON"),
        ({"param_types": "[]"}, "param_types is not a mapping"),
        ({"params": json.dumps({"a": "x" * 10_000_000})}, "too long"),
        ({"error": "x" * 10_000_000}, "too long"),
        ({"base": "-D"}, "base is not a commit"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_row_that_cannot_be_understood_is_named_and_left_out(
    cursor: Cursor, values: dict[str, object], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    as_text(cursor, **values)
    assert [run.run_id for run in reader.runs(cursor)] == ["good"]
    assert (
        "1 rows of kedro_runs cannot be understood and are left out: bad" in caplog.text
        and why in caplog.text
    )


def test_text_for_a_time_and_numbers_for_text(cursor: Cursor, caplog: pytest.LogCaptureFixture) -> None:
    cursor.execute("CREATE TABLE kedro_runs (run_id VARCHAR(9) PRIMARY KEY, started TEXT, status INT)")
    cursor.execute(
        "INSERT INTO kedro_runs VALUES ('a', 'noon', NULL), ('b', NULL, 5), ('', NULL, 1), ('c', NULL, NULL)"
    )
    assert [run.run_id for run in reader.runs(cursor)] == ["c"]
    assert "3 rows of kedro_runs" in caplog.text and "a (started is not a time)" in caplog.text


def test_a_warning_is_given_once(cursor: Cursor, caplog: pytest.LogCaptureFixture) -> None:
    as_text(cursor, params="{")
    for _ in range(3):
        reader.runs(cursor)
    assert caplog.text.count("cannot be understood") == 1


@pytest.mark.parametrize("name", ["kedro_runs", "KEDRO_RUNS"])
def test_nothing_is_read_from_a_view(cursor: Cursor, name: str) -> None:
    # Its query would never end.
    cursor.execute(
        f"CREATE VIEW {name} AS WITH RECURSIVE r AS (SELECT 1 AS run_id UNION ALL SELECT run_id + 1 FROM r) "
        "SELECT * FROM r"
    )
    try:
        with pytest.raises(DoltError, match="kedro_runs is not kedro-dolt's journal: it is a view"):
            reader.runs(cursor)
        with pytest.raises(DoltError, match="it is a view"):
            reader.runs(cursor, "HEAD", run_id="x")
    finally:
        cursor.execute(f"DROP VIEW {name}")


def test_a_table_of_other_columns_is_not_read(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE kedro_lineage (run_id INT PRIMARY KEY, node INT)")
    with pytest.raises(
        DoltError, match="kedro_lineage is not kedro-dolt's journal: it has no column dataset"
    ):
        reader.edges(cursor, "x")


def test_only_so_many_rows_and_bytes_are_read(
    cursor: Cursor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    as_text(cursor, error="x" * 1000)
    for number in range(8):
        cursor.execute("INSERT INTO kedro_runs (run_id, error) VALUES (%s, %s)", (f"n{number}", "x" * 1000))
    monkeypatch.setattr(reader, "MOST_BYTES", 3000)
    assert len(reader.runs(cursor)) == 2
    monkeypatch.setattr(reader, "MOST_BYTES", 10**6)
    monkeypatch.setattr(reader, "MOST_ROWS", 5)
    assert len(reader.runs(cursor)) == 5
    assert "kedro_runs is too large to be read whole: only 2 of its 10 rows are." in caplog.text


def test_what_is_written_is_read(cursor: Cursor, caplog: pytest.LogCaptureFixture) -> None:
    store.write(cursor, GOOD, [SAVED])
    (run,) = reader.runs(cursor)
    assert run == GOOD and reader.edges(cursor, "good") == [SAVED]
    assert reader.savers(cursor, "metrics") == [("good", SAVED)]
    assert reader.saved_tables(cursor, ["METRICS", "other"], ["good", "bad"]) == {"good": {"metrics"}}
    assert not caplog.text


def test_nodes_that_were_skipped_or_failed_are_not_taken_for_computed_ones(cursor: Cursor) -> None:
    # A stranger's rows may have what ours have not: a recipe, and the content of what was saved.
    nodes = [
        Execution(f"{how}_node", how, recipe="r", inputs="i", outputs="o", seconds=1.0)
        for how in ("computed", "failed", "skipped", "taken")
    ]
    store.write(cursor, GOOD, [SAVED], executions=nodes)
    assert reader.executions(cursor, "good") == nodes
    found = [one.node for _, one in reader.executions_of(cursor, "recipe", ["r"])]
    assert sorted(found) == ["computed_node", "taken_node"]
    assert reader.executions_of(cursor, "node", ["failed_node"]) == []
    assert reader.failed_nodes(cursor, ["good", "other"]) == {"good": ["failed_node"]}


def test_runs_that_are_known_from_another_branch_are_not_read_again(cursor: Cursor) -> None:
    store.write(cursor, GOOD, [])
    store.write(cursor, replace(GOOD, run_id="new"), [])
    elsewhere = replace(GOOD, run_id="elsewhere")
    known = {"good": replace(GOOD, error="As it was read"), "elsewhere": elsewhere}
    assert reader.runs_beside(cursor, {}) == reader.runs(cursor)
    assert reader.runs_beside(cursor, known) == [known["good"], replace(GOOD, run_id="new")]
    assert reader.runs_beside(cursor, {"elsewhere": elsewhere}) == reader.runs(cursor)


@pytest.mark.parametrize("limit", ["_MOST_NEW", "_LONGEST_ID"])
def test_a_journal_that_has_little_in_common_with_what_is_known_is_read_whole(
    cursor: Cursor, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    store.write(cursor, GOOD, [])
    store.write(cursor, replace(GOOD, run_id="another"), [])
    monkeypatch.setattr(reader, limit, 0)
    assert reader.runs_beside(cursor, {"good": replace(GOOD, error="Old")}) == reader.runs(cursor)


def test_no_view_is_read_beside_what_is_known(cursor: Cursor) -> None:
    assert reader.runs_beside(cursor, {"good": GOOD}) == []
    cursor.execute("CREATE TABLE others (run_id VARCHAR(80) PRIMARY KEY)")
    cursor.execute("CREATE VIEW kedro_runs AS SELECT * FROM others")
    with pytest.raises(DoltError, match="kedro_runs is not kedro-dolt's journal: it is a view"):
        reader.runs_beside(cursor, {"good": GOOD})
    cursor.execute("DROP VIEW kedro_runs")
    cursor.execute("DROP TABLE others")


def test_edges_of_a_stranger(cursor: Cursor, caplog: pytest.LogCaptureFixture) -> None:
    store.write(cursor, GOOD, [SAVED])
    cursor.execute(
        "INSERT INTO kedro_lineage (run_id, node, dataset, direction) VALUES ('good', '', 'x', 'save')"
    )
    cursor.execute(
        "INSERT INTO kedro_lineage (run_id, node, dataset, direction) VALUES ('good', 'x', 'x', 'eat')"
    )
    assert reader.edges(cursor, "good") == [SAVED]
    assert "2 rows of kedro_lineage cannot be understood" in caplog.text


def test_checks_of_a_stranger(cursor: Cursor, caplog: pytest.LogCaptureFixture) -> None:
    row = CheckResult("t", "unchanged", "error", "failed", "true", "1 modified", ({"id": 1, "x": "ü"},))
    accepted = replace(row, check_name="append_only", status="accepted", accepted_by="Ada", reason="New")
    store.write(cursor, GOOD, [SAVED], [row, accepted])
    assert reader.checks(cursor, "good") == [accepted, row]
    assert reader.noted_checks(cursor, ["good"]) == {"good": {"accepted"}}
    for number, rows in enumerate(('{"a": 1}', "[1]", "[" * 99 + "]" * 99, '"x"')):
        cursor.execute(
            "INSERT INTO kedro_checks (run_id, table_name, check_name, severity, status, offending) "
            "VALUES ('good', 't', %s, 'warn', 'failed', %s)",
            (f"bad{number}", rows),
        )
    cursor.execute("INSERT INTO kedro_checks (run_id, table_name, check_name) VALUES ('good', 't', 'none')")
    assert reader.checks(cursor, "good") == [accepted, row]
    assert "5 rows of kedro_checks cannot be understood" in caplog.text
    cursor.execute("RENAME TABLE kedro_checks TO others")
    cursor.execute("CREATE VIEW kedro_checks AS SELECT * FROM others")
    for read in (lambda: reader.checks(cursor, "good"), lambda: reader.noted_checks(cursor, ["good"])):
        with pytest.raises(DoltError, match="kedro_checks is not kedro-dolt's journal: it is a view"):
            read()
    cursor.execute("DROP VIEW kedro_checks")
    cursor.execute("DROP TABLE others")


def test_an_older_journal_has_fewer_columns(cursor: Cursor) -> None:
    cursor.execute("CREATE TABLE kedro_runs (run_id VARCHAR(80) PRIMARY KEY, status VARCHAR(16))")
    cursor.execute("INSERT INTO kedro_runs VALUES ('old', 'succeeded')")
    assert reader.runs(cursor) == [Run("old", status="succeeded")]


def test_a_newer_version_needs_one_line_to_keep_older_ones_from_writing(
    cursor: Cursor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cursor.execute("CALL DOLT_CHECKOUT('-b', 'newer')")
    store.write(cursor, Run("first"), [SAVED])
    with monkeypatch.context() as newer:
        columns = {**store._COLUMNS[store.RUNS], "needs_9_1_0": "VARCHAR(1)"}
        newer.setitem(store._COLUMNS, store.RUNS, columns)
        store.write(cursor, Run("newer"), [SAVED])
        assert {run.run_id for run in reader.runs(cursor)} == {"newer", "first"} and not caplog.messages
        cursor.execute("CALL DOLT_COMMIT('-Am', 'newer')")
    cursor.execute("SELECT dolt_hashof_db()")
    before = cursor.fetchone()

    for write in (
        lambda: store.write(cursor, Run("older"), []),
        lambda: store.copy(cursor, "HEAD~1", "HEAD"),
        lambda: store.check_format(cursor, "HEAD"),
    ):
        with pytest.raises(DoltError, match=r"pip install 'kedro-doltdb>=9\.1\.0'"):
            write()
    cursor.execute("SELECT dolt_hashof_db()")
    assert cursor.fetchone() == before
    assert len(reader.runs(cursor)) == len(reader.runs(cursor)) == 2
    assert [message.count("9.1.0") for message in caplog.messages] == [2]
    cursor.execute("CALL DOLT_CHECKOUT('main')")


@pytest.mark.parametrize(
    ("columns", "needed"),
    [
        (["run_id"], None),
        (["run_id", "needs_9_1_0", "needs_10_0_0"], "10.0.0"),
        (["run_id", "needs_", "needs_9_1", "needs_9_1_0; DROP", "my_needs_9_1_0"], None),
    ],
)
def test_the_newest_version_that_a_journal_needs_is_named(columns: list[str], needed: str | None) -> None:
    assert store.newer_format(columns) == needed


def test_without_a_journal_there_are_no_runs(cursor: Cursor) -> None:
    assert reader.runs(cursor) == reader.runs(cursor, "HEAD") == []
    assert reader.edges(cursor, "x") == [] and reader.saved_tables(cursor, ["x"], ["x"]) == {}


def test_what_dolt_once_could_not_read_is_read_again(
    repository: Repository, cursor: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(cursor, GOOD, [SAVED])
    # Of a merge, which has two parents, Dolt says just that each time.
    cursor.execute("CALL DOLT_COMMIT('-A', '--allow-empty', '-m', 'one')")
    cursor.execute("CALL DOLT_BRANCH('other', 'HEAD~1')")
    with repository.on("other") as other:
        other.execute("CALL DOLT_COMMIT('--allow-empty', '-m', 'two')")
    cursor.execute("CALL DOLT_MERGE('other')")
    merge = repository.head("main")
    question = "SELECT * FROM dolt_commit_ancestors WHERE commit_hash = %s"
    with pytest.raises(OperationalError) as caught:
        cursor.execute(question, (merge,))
    assert answers.is_interrupted(caught.value)

    original, fails = Cursor.execute, iter([True, True])

    def execute(self: Cursor, query: str, args: object = None) -> int:
        if "FROM kedro_lineage WHERE" in query and next(fails, False):
            return original(self, question, (merge,))
        return original(self, query, args)

    monkeypatch.setattr(Cursor, "execute", execute)
    assert reader.edges(cursor, GOOD.run_id) == [SAVED]
    fails = itertools.repeat(True)
    with pytest.raises(OperationalError, match="max1Row"):
        reader.edges(cursor, GOOD.run_id)
