"""Checks on a real server: what each finds of a change and of a state, whatever tables look like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from dolt_server import dolt_server
from pymysql.cursors import Cursor
from pymysql.err import OperationalError

from kedro_doltdb.checks.audit import Acceptance, audit, described, refusing
from kedro_doltdb.checks.definitions import parse
from kedro_doltdb.dolt import select
from kedro_doltdb.dolt.answers import is_answer
from kedro_doltdb.dolt.branches import make_branch
from kedro_doltdb.errors import QueryError
from kedro_doltdb.journal.store import CheckResult

SHOP = (
    "CREATE TABLE shop (id INT PRIMARY KEY, name VARCHAR(20), price DOUBLE, sold INT)",
    "INSERT INTO shop VALUES (1, 'ada', 1.5, 1), (2, 'bob', 2.5, 2), (3, 'cem', 3.5, 3), (4, 'dot', 4.5, 4)",
    "CREATE TABLE blank (id INT PRIMARY KEY)",
    "CREATE TABLE heap (a INT, b INT)",
    "INSERT INTO heap VALUES (1, 1), (1, 1), (2, 2)",
    "CREATE TABLE metrics (name VARCHAR(20) PRIMARY KEY, value DOUBLE)",
    "INSERT INTO metrics VALUES ('accuracy', 0.9), ('loss', 1.0)",
)


class Branch:
    """A branch on which changes are made, and the commit at which it began."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.base = ""

    def commit(self, *statements: str) -> None:
        for statement in statements:
            self.cursor.execute(statement)
        self.cursor.execute("CALL DOLT_COMMIT('-A', '--allow-empty', '-m', 'base')")
        self.base = str(self.cursor.fetchall()[0][0])

    def check(self, checks: dict[str, Any], *statements: str) -> dict[str, CheckResult]:
        for statement in statements:
            self.cursor.execute(statement)
        return {result.name: result for result in audit(self.cursor, self.base, parse(checks))}

    def one(self, table: str, checks: dict[str, Any], *statements: str) -> CheckResult:
        [result] = self.check({table: checks}, *statements).values()
        return result


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with dolt_server(tmp_path_factory.mktemp("checks")) as engine:
        yield engine


@pytest.fixture
def branch(server: Any) -> Iterator[Branch]:
    connection = server.raw_connection()
    with connection.cursor() as cursor:
        cursor.execute("SET autocommit = 1")
        cursor.execute("CALL DOLT_CHECKOUT('main')")
        cursor.execute("CALL DOLT_RESET('--hard', 'HEAD')")
        make_branch(cursor, "work", "main", force=True)
        cursor.execute("CALL DOLT_CHECKOUT('work')")
        branch = Branch(cursor)
        branch.commit(*SHOP)
        yield branch
    connection.close()


def _has(cursor: Cursor, name: str) -> bool:
    cursor.execute("SELECT COUNT(*) FROM dolt_branches WHERE name = %s", (name,))
    return bool(cursor.fetchall()[0][0])


@pytest.mark.parametrize(
    ("check", "statement", "status", "found"),
    [
        ({"max_rows_changed": 1}, "UPDATE shop SET price = 9 WHERE id = 2", "passed", "1 of 4 rows changed"),
        ({"max_rows_changed": 1}, "UPDATE shop SET price = 9 WHERE id < 3", "failed", "2 of 4 rows changed"),
        ({"max_rows_changed": "25%"}, "DELETE FROM shop WHERE id = 1", "passed", "1 of 4 rows changed"),
        ({"max_rows_changed": "24.9 %"}, "DELETE FROM shop WHERE id = 1", "failed", "1 of 4 rows changed"),
        ({"max_rows_added": 0}, "INSERT INTO shop VALUES (9, 'x', 1, 1)", "failed", "1 of 4 rows added"),
        ({"max_rows_added": 0}, "DELETE FROM shop", "passed", "0 of 4 rows added"),
        ({"max_rows_removed": 3}, "DELETE FROM shop", "failed", "4 of 4 rows removed"),
        ({"max_rows_removed": 3}, "DROP TABLE shop", "failed", "4 of 4 rows removed (it was dropped)"),
        ({"max_rows_modified": 0}, "UPDATE shop SET price = price", "passed", "0 of 4 rows modified"),
        ({"append_only": True}, "INSERT INTO shop VALUES (9, 'x', 1, 1)", "passed", "0 rows removed"),
        ({"append_only": True}, "UPDATE shop SET sold = 7 WHERE id = 1", "failed", "1 modified of 4"),
        ({"unchanged": True}, "UPDATE shop SET sold = 1 WHERE id = 1", "passed", "as it was"),
        ({"unchanged": True}, "UPDATE shop SET sold = 7 WHERE id = 1", "failed", "1 modified"),
        ({"unchanged": True}, "ALTER TABLE shop ADD COLUMN x INT", "failed", "and its schema changed"),
        ({"frozen_schema": True}, "ALTER TABLE shop ADD COLUMN x INT", "failed", "+ `x` int"),
        ({"frozen_schema": True}, "UPDATE shop SET sold = 7", "passed", "as it was"),
        ({"frozen_schema": True}, "DROP TABLE shop", "failed", "it was dropped"),
        ({"columns_changed_within": ["price"]}, "UPDATE shop SET price = 7", "passed", "no other column"),
        ({"columns_changed_within": "Price"}, "UPDATE shop SET sold = 7", "failed", "sold changed"),
        ({"columns_changed_within": ["price"]}, "ALTER TABLE shop ADD x INT", "failed", "column x is new"),
        ({"columns_changed_within": ["sold"]}, "ALTER TABLE shop DROP price", "failed", "price is gone"),
        ({"columns_changed_within": ["size"]}, "UPDATE shop SET sold = 7", "failed", "it has no column size"),
        ({"columns_changed_within": ["price"]}, "DELETE FROM shop", "passed", "no other column"),
        ({"max_change": {"avg(price)": 1}}, "UPDATE shop SET price = price + 1", "passed", "(+1)"),
        ({"max_change": {"AVG(price)": 0.9}}, "UPDATE shop SET price = price + 1", "failed", "(+1)"),
        ({"max_change": {"count(*)": {"fall": 1}}}, "DELETE FROM shop", "failed", "4 before, 0 now (-4)"),
        ({"max_change": {"max(price)": 1}}, "DELETE FROM shop", "failed", "4.5 before, and none now"),
        ({"max_change": {"avg(size)": 1}}, "DELETE FROM shop", "failed", "there is no avg(size)"),
        ({"max_change": {"avg(size)": 1}}, "SELECT 1", "failed", "there is no avg(size)"),
    ],
)  # fmt: skip
def test_checks_of_the_change(
    branch: Branch, check: dict[str, Any], statement: str, status: str, found: str
) -> None:
    result = branch.one("shop", check, statement)
    assert (result.status, result.severity) == (status, "error")
    assert found in result.found


@pytest.mark.parametrize(
    ("bound", "value", "status"),
    [
        # In floating point 0.9 - 0.88 is more than 0.02.
        (0.02, 0.88, "passed"),
        (0.02, 0.92, "passed"),
        (0.02, 0.879, "failed"),
        ({"fall": 0.02}, 0.99, "passed"),
        ({"fall": 0.02}, 0.8, "failed"),
        ({"rise": 0}, 0.8, "passed"),
        ({"rise": 0}, 0.91, "failed"),
    ],
)
def test_a_metric_may_change_so_much(branch: Branch, bound: Any, value: float, status: str) -> None:
    change = f"UPDATE metrics SET value = {value} WHERE name = 'accuracy'"
    result = branch.one("metrics", {"max_change": {"accuracy": bound}}, change)
    assert result.status == status and result.check_name == "max_change.accuracy"


def test_a_metric_that_comes_or_goes(branch: Branch) -> None:
    checks = {"max_change": {"accuracy": 1, "f1": 1, "recall": 1}}
    changes = ["DELETE FROM metrics WHERE name = 'accuracy'", "INSERT INTO metrics VALUES ('f1', 1)"]
    found = branch.check({"metrics": checks}, *changes)
    assert {name.rpartition(".")[2]: result.status for name, result in found.items()} == {
        "accuracy": "failed", "f1": "skipped", "recall": "failed",
    }  # fmt: skip
    assert "there is no recall: there is accuracy, f1, loss" in found["metrics.max_change.recall"].found


@pytest.mark.parametrize(
    ("check", "statement", "status", "found", "rows"),
    [
        ({"not_null": "name"}, "SELECT 1", "passed", "0 such rows", []),
        ({"not_null": "NAME"}, "UPDATE shop SET name = NULL WHERE id > 2", "failed", "2 such rows",
         [{"id": 3, "name": None}, {"id": 4, "name": None}]),
        ({"not_null": "size"}, "SELECT 1", "failed", "it has no column size", []),
        ({"unique": "id"}, "SELECT 1", "passed", "the primary key", []),
        ({"unique": "name"}, "UPDATE shop SET name = 'ada' WHERE id < 4", "failed", "1 values more than once",
         [{"name": "ada"}]),
        ({"unique": "name"}, "UPDATE shop SET name = NULL", "passed", "0 values", []),
        ({"unique": [["name", "sold"]]}, "UPDATE shop SET name = 'ada'", "passed", "0 values", []),
        ({"accepted_values": {"name": ["ada", "bob", "cem", "dot"]}}, "SELECT 1", "passed", "0 such", []),
        ({"accepted_values": {"sold": [1, 2, 3]}}, "SELECT 1", "failed", "1 such", [{"id": 4, "sold": 4}]),
        ({"between": {"price": [0, 4]}}, "SELECT 1", "failed", "1 such", [{"id": 4, "price": 4.5}]),
        ({"between": {"price": [None, 5]}}, "UPDATE shop SET price = NULL", "passed", "0 such", []),
        ({"between": {"price": [2, None]}}, "SELECT 1", "failed", "1 such", [{"id": 1, "price": 1.5}]),
        ({"row_count": 4}, "SELECT 1", "passed", "4 rows", []),
        ({"row_count": [5, None]}, "SELECT 1", "failed", "4 rows", []),
        ({"row_count": 4}, "DROP TABLE shop", "failed", "it was dropped", []),
        ({"references": {"sold": "heap.a"}}, "SELECT 1", "failed", "2 such rows",
         [{"id": 3, "sold": 3}, {"id": 4, "sold": 4}]),
        ({"references": {"sold": "shop.id"}}, "SELECT 1", "passed", "0 such rows", []),
        ({"references": {"sold": "nowhere.id"}}, "SELECT 1", "failed", "there is no table nowhere", []),
        ({"references": {"sold": "heap.c"}}, "SELECT 1", "failed", "heap has no column c", []),
        ({"sql": "SELECT id FROM shop WHERE name LIKE 'a%'"}, "SELECT 1", "failed", "1 rows", [{"id": 1}]),
        ({"sql": "SELECT * FROM shop"}, "DELETE FROM shop WHERE id > 1", "failed", "1 rows",
         [{"id": 1, "name": "ada", "price": 1.5, "sold": 1}]),
        ({"sql": "WITH x AS (SELECT id FROM shop) SELECT * FROM x"}, "DELETE FROM shop WHERE id > 1",
         "failed", "1 rows", [{"id": 1}]),
        ({"sql": {"none": "SELECT id FROM shop WHERE price < 0;"}}, "SELECT 1", "passed", "no row", []),
        ({"sql": "SELECT to_id FROM dolt_diff(@base, @branch, 'shop')"},
         "UPDATE shop SET sold = 5 WHERE id = 1", "failed", "1 rows", [{"to_id": 1}]),
        ({"sql": "SELECT n.id FROM shop n JOIN shop AS OF @base o ON n.id = o.id WHERE n.price < o.price"},
         "UPDATE shop SET price = 1", "failed", "4 rows", [{"id": i} for i in (1, 2, 3, 4)]),
    ],
)  # fmt: skip
def test_checks_of_the_state(
    branch: Branch, check: dict[str, Any], statement: str, status: str, found: str, rows: list[dict[str, Any]]
) -> None:
    result = branch.one("shop", check, statement)
    assert result.status == status and result.found.startswith(found)
    offending = [dict(row) for row in result.offending]
    writers = {row.pop("written by", None) for row in offending}
    assert offending == rows
    assert writers <= {None, "this run" if statement != "SELECT 1" else f"commit {branch.base[:10]}"}


HOSTILE = [
    "DELETE FROM shop",
    "DROP TABLE shop",
    "SELECT 1; DROP TABLE shop",
    "SELECT 1) AS found; DROP TABLE shop; -- ",
    "SELECT 1) AS a JOIN (SELECT 2",
    "SELECT 1) x UNION SELECT 1 INTO OUTFILE '{file}' FROM (SELECT 1",
    "SELECT 1 INTO OUTFILE '{file}'",
    "SELECT 1 INTO DUMPFILE '{file}'",
    "SELECT 1 INTO @stolen",
    "WITH x AS (SELECT 1) DELETE FROM shop",
    "CALL DOLT_BRANCH('evil')",
    "SET @@GLOBAL.max_connections = 77",
    "CREATE USER evil",
    "INSERT INTO shop SELECT 9, 'x', 1, 1",
    "REPLACE INTO shop VALUES (1, 'x', 1, 1)",
    "TRUNCATE shop",
    "SHOW TABLES",
    "EXPLAIN DELETE FROM shop",
    "/*! DROP TABLE shop */",
    "SELECT 1 /*",
    "SELEC 1",
    "SELECT nothing FROM shop",
    "SELECT * FROM nowhere",
    "",
]


@pytest.mark.parametrize("query", HOSTILE)
def test_sql_cannot_write(branch: Branch, tmp_path: Path, query: str) -> None:
    file = tmp_path / "stolen"
    query = query.format(file=file)
    for ask in (select.count, select.check):
        with pytest.raises(QueryError):
            ask(branch.cursor, query)
    with pytest.raises(QueryError):
        select.first(branch.cursor, query, 5)
    if query:
        result = branch.one("shop", {"sql": query})
        assert result.status == "failed" and "it is not a SELECT that Dolt can run" in result.found
    branch.cursor.execute("SELECT COUNT(*), @@GLOBAL.max_connections = 77 FROM shop")
    assert branch.cursor.fetchall() == [(4, 0)] or branch.cursor.rowcount == 1
    assert not file.exists() and not _has(branch.cursor, "evil")


def test_a_test_of_the_repository_cannot_write(branch: Branch, tmp_path: Path) -> None:
    file = tmp_path / "stolen"
    for number, query in enumerate(HOSTILE):
        branch.cursor.execute(
            "INSERT INTO dolt_tests VALUES (%s, '', %s, 'expected_rows', '==', '0')",
            (f"t{number}", query.format(file=file)),
        )
    # Dolt takes the name of a group for that of a test.
    branch.cursor.execute(
        "INSERT INTO dolt_tests VALUES ('good', 't1', 'SELECT 1', 'expected_rows', '==', '1')"
    )
    found = branch.check({})
    assert found["dolt_tests.good"].status == "skipped"
    assert {r.status for name, r in found.items() if name != "dolt_tests.good"} == {"failed"}
    assert len(found) == len(HOSTILE) + 1
    branch.cursor.execute("SELECT COUNT(*) FROM shop")
    assert branch.cursor.fetchall()[0][0] == 4
    assert not file.exists() and not _has(branch.cursor, "evil")


def test_dolts_own_tests_are_run(branch: Branch) -> None:
    assert branch.check({}) == {}
    branch.cursor.execute(
        "INSERT INTO dolt_tests VALUES "
        "('rows', 'g', 'SELECT COUNT(*) FROM shop;', 'expected_single_value', '==', '4'), "
        "('none', '', 'SELECT * FROM shop', 'expected_rows', '==', '0')"
    )
    found = branch.check({})
    assert {name: result.status for name, result in found.items()} == {
        "dolt_tests.none": "failed", "dolt_tests.rows": "passed",
    }  # fmt: skip
    assert "expected_rows equal to 0, got 4" in found["dolt_tests.none"].found


def test_a_new_table_has_no_change_yet(branch: Branch) -> None:
    checks = {"max_rows_changed": 0, "unchanged": True, "max_change": {"avg(id)": 1}, "not_null": "b"}
    found = branch.check({"new": checks}, "CREATE TABLE new (id INT PRIMARY KEY, b INT)",
                         "INSERT INTO new VALUES (1, NULL)")  # fmt: skip
    assert {result.check_name: result.status for result in found.values()} == {
        "max_rows_changed": "skipped", "unchanged": "skipped", "max_change.avg(id)": "skipped",
        "not_null.b": "failed",
    }  # fmt: skip
    assert found["new.unchanged"].found == "the table is new"


def test_a_table_that_is_nowhere(branch: Branch, caplog: pytest.LogCaptureFixture) -> None:
    branch.cursor.execute("CREATE VIEW view_of_shop AS SELECT * FROM shop")
    found = branch.check(
        {"nowhere*": {"unchanged": True, "not_null": ["a", "b"]}, "view_of_shop": {"row_count": 1}}
    )
    assert {name: result.status for name, result in found.items()} == {
        "nowhere*.unchanged": "skipped", "nowhere*.not_null.a": "skipped", "nowhere*.not_null.b": "skipped",
        "view_of_shop.row_count": "skipped",
    }  # fmt: skip
    assert caplog.text.count("No table is called nowhere*") == 1


def test_percentages_of_no_rows(branch: Branch) -> None:
    found = branch.check(
        {"blank": {"max_rows_changed": "5%", "max_rows_added": 0}}, "INSERT INTO blank VALUES (1)"
    )
    assert found["blank.max_rows_changed"].status == "skipped"
    assert found["blank.max_rows_added"].status == "failed"


def test_a_table_without_a_key_tells_rows_added_and_removed(branch: Branch) -> None:
    found = branch.check(
        {"heap": {"max_rows_changed": 1, "append_only": True, "columns_changed_within": "a"}},
        "DELETE FROM heap WHERE a = 2", "INSERT INTO heap VALUES (2, 3)",
    )  # fmt: skip
    result = found["heap.max_rows_changed"]
    assert result.status == "failed"
    assert result.found == (
        "2 of 3 rows changed (it has no primary key: a changed row is one removed and one added)"
    )
    assert sorted(map(str, result.offending)) == ["{'a': 2, 'b': 2}", "{'a': 2, 'b': 3}"]
    assert found["heap.append_only"].status == "failed"
    assert "no row counts as modified" in found["heap.columns_changed_within"].found


OTHER_KEY = "its primary key has changed, so that each row counts as removed and added"


def test_a_primary_key_that_changes(branch: Branch) -> None:
    checks = {
        "max_rows_removed": 1,
        "append_only": True,
        "columns_changed_within": "sold",
        "frozen_schema": True,
    }
    found = branch.check({"shop": checks}, "ALTER TABLE shop DROP PRIMARY KEY, ADD PRIMARY KEY (id, sold)")
    assert {result.status for result in found.values()} == {"failed"}
    assert "each row counts as removed and added" in found["shop.max_rows_removed"].found


def test_a_primary_key_whose_type_changes(branch: Branch) -> None:
    branch.commit(
        "CREATE TABLE texts (id VARCHAR(255) PRIMARY KEY, n INT)",
        "INSERT INTO texts VALUES ('a', 1), ('b', 2)",
    )
    checks = {
        "max_rows_added": 1,
        "max_rows_removed": 1,
        "columns_changed_within": "n",
        "unchanged": True,
        "max_rows_modified": 0,
    }
    found = branch.check({"texts": checks}, "ALTER TABLE texts MODIFY id VARCHAR(1023) NOT NULL")
    assert {name.partition(".")[2]: (result.status, result.found) for name, result in found.items()} == {
        "max_rows_added": ("failed", f"2 of 2 rows added ({OTHER_KEY})"),
        "max_rows_removed": ("failed", f"2 of 2 rows removed ({OTHER_KEY})"),
        "max_rows_modified": ("passed", f"0 of 2 rows modified ({OTHER_KEY})"),
        "columns_changed_within": (
            "failed", "its primary key has changed, so that no row can be compared with what it was"
        ),
        "unchanged": (
            "failed", f"2 rows added, 2 removed, 0 modified, and its schema changed ({OTHER_KEY})"
        ),
    }  # fmt: skip


def test_a_renamed_table_is_one_dropped_and_one_new(branch: Branch) -> None:
    found = branch.check(
        {"*": {"max_rows_removed": 0}}, "RENAME TABLE shop TO store", "UPDATE store SET sold = 9"
    )
    assert found["shop.max_rows_removed"].status == "failed"
    assert found["store.max_rows_removed"].status == "skipped"


def test_patterns_and_later_entries(branch: Branch) -> None:
    section = {
        "*": {"unchanged": True, "row_count": [1, None]},
        "Sho?": {"unchanged": False, "row_count": {"limit": [9, None], "severity": "warn"}},
        "nothing": {"unchanged": False},
    }
    found = branch.check(section)
    assert "shop.unchanged" not in found and found["heap.unchanged"].status == "passed"
    assert (found["shop.row_count"].severity, found["shop.row_count"].status) == ("warn", "failed")
    assert [result.name for result in refusing(found.values())] == ["blank.row_count"]


def test_a_state_that_has_passed_is_known_by_its_content(branch: Branch) -> None:
    checks = parse({"shop": {"not_null": ["name", "sold"], "references": {"sold": "shop.id"}}})
    branch.cursor.execute("UPDATE shop SET price = 7")
    [name, sold, refers] = audit(branch.cursor, branch.base, checks)
    told = [
        replace(name, found="told"),
        replace(sold, found="told", bound="7"),
        replace(refers, found="told"),
    ]
    found = [result.found for result in audit(branch.cursor, branch.base, checks, told)]
    assert found == ["told", "0 such rows", "told"]
    branch.cursor.execute("UPDATE shop SET name = NULL WHERE id = 1")
    found = [result.found for result in audit(branch.cursor, branch.base, checks, told)]
    assert found == ["1 such rows", "0 such rows", "0 such rows"]


def test_hostile_names(branch: Branch) -> None:
    table, column = "we`ird 50% \"t'", "a`b 5%s"
    quoted, key = "`we``ird 50% \"t'`", "`a``b 5%s`"
    branch.commit(
        f"CREATE TABLE {quoted} ({key} INT PRIMARY KEY, `commit` INT, commit_date INT, `c%` VARCHAR(9))",
        f"INSERT INTO {quoted} VALUES (1, 1, 1, 'x'), (2, 2, 2, 'y')",
    )
    checks = {
        "max_rows_changed": 0, "columns_changed_within": ["commit_date"], "not_null": column,
        "unique": ["commit", ["c%", "commit"]], "between": {"commit": [0, 1]},
        "accepted_values": {"c%": ["x", "%s"]}, "references": {column: f"{table}.commit"},
        "max_change": {f"sum({column})": 0, "count(*)": 0},
    }  # fmt: skip
    # In a pattern a bracket opens a set; none of these characters means anything.
    found = branch.check(
        {table: checks}, f"UPDATE {quoted} SET `commit` = 7, commit_date = 9 WHERE `commit` = 2"
    )
    statuses = {name.removeprefix(f"{table}."): result.status for name, result in found.items()}
    assert statuses == {
        "max_rows_changed": "failed", "columns_changed_within": "failed", f"not_null.{column}": "passed",
        "unique.commit": "passed", "unique.c%,commit": "passed", "between.commit": "failed",
        "accepted_values.c%": "failed", f"references.{column}": "failed",
        f"max_change.sum({column})": "passed", "max_change.count(*)": "passed",
    }  # fmt: skip
    assert list(found[f"{table}.columns_changed_within"].offending) == [{column: 2, "commit": 7}]
    assert described(found[f"{table}.max_rows_changed"]) == (
        f"{table}.max_rows_changed: 1 of 2 rows changed; bound: 0; first rows: ({column}=2)"
    )


def test_what_dolt_or_the_driver_refuses_fails_that_check_alone(branch: Branch) -> None:
    checks = parse(
        {"shop": {"between": {"sold": [0, 5]}, "row_count": 4, "accepted_values": {"name": ["x"]}}}
    )
    broken = [
        replace(check, bound=[0, float("inf")]) if check.kind == "between" else check for check in checks
    ]
    found = {result.check_name: result for result in audit(branch.cursor, branch.base, broken)}
    assert found["row_count"].status == "passed" and found["accepted_values.name"].status == "failed"
    assert found["between.sold"].status == "failed"
    assert found["between.sold"].found.startswith("Dolt refused the check: inf can not be used")


@pytest.mark.parametrize(
    ("code", "answers"),
    [(1105, True), (1064, True), (3140, True), (1045, False), (2006, False), (2013, False)],
)
def test_which_errors_are_the_servers_answers(code: int, answers: bool) -> None:
    assert is_answer(OperationalError(code, "no")) is answers


KINDS = (
    "CREATE TABLE kinds (id INT PRIMARY KEY, word TEXT, way ENUM('a', 'b'), exact DECIMAL(9, 2), "
    "flag BOOLEAN, day DATE, at DATETIME, hour TIME, doc JSON, point VARCHAR(9) NOT NULL)",
    "INSERT INTO kinds VALUES (1, 'setosa', 'a', 1.5, 1, '2026-01-31', '2026-01-31 12:00', "
    "'12:00', '1', 'x')",
)


@pytest.mark.parametrize(
    ("check", "status", "found"),
    [
        ({"accepted_values": {"word": [True, False]}}, "failed",
         "word is text, which cannot be compared with true, a boolean: YAML makes booleans of yes, no"),
        ({"accepted_values": {"word": [0]}}, "failed",
         "word is text, which cannot be compared with 0, a number"),
        ({"accepted_values": {"word": ["setosa", 1]}}, "failed", "word is text"),
        ({"accepted_values": {"way": [1]}}, "failed", "way is enum('a','b')"),
        ({"accepted_values": {"point": [0.0]}}, "failed", "point is varchar(9)"),
        ({"between": {"word": [0, 1]}}, "failed", "word is text"),
        ({"between": {"word": [None, 0]}}, "failed", "word is text"),
        ({"between": {"word": ["a", "t"]}}, "passed", ""),
        ({"between": {"word": ["t", "z"]}}, "failed", "1 such rows"),
        ({"accepted_values": {"id": ["setosa"]}}, "failed",
         "id is int, which cannot be compared with 'setosa', text: write it without quotes"),
        ({"between": {"exact": ["a", None]}}, "failed", "exact is decimal(9,2)"),
        ({"between": {"exact": [1, 1.5]}}, "passed", ""),
        ({"accepted_values": {"flag": [True, False]}}, "passed", ""),
        ({"accepted_values": {"flag": [False]}}, "failed", "1 such rows"),
        ({"between": {"day": [date(2026, 1, 1), "2026-02-01"]}}, "passed", ""),
        ({"between": {"at": [date(2026, 2, 1), None]}}, "failed", "1 such rows"),
        # YAML makes 43200 of 12:00:00.
        ({"between": {"hour": [43200, None]}}, "failed", "hour is time"),
        ({"accepted_values": {"doc": [1]}}, "passed", ""),
        ({"references": {"word": "kinds.id"}}, "failed", "word is text, and kinds.id is int"),
        ({"references": {"exact": "kinds.word"}}, "failed", "exact is decimal(9,2), and kinds.word is text"),
        ({"references": {"word": "kinds.point"}}, "failed", "1 such rows"),
    ],
)  # fmt: skip
def test_text_is_not_compared_with_numbers(
    branch: Branch, check: dict[str, Any], status: str, found: str
) -> None:
    branch.commit(*KINDS)
    result = branch.one("kinds", check)
    assert (result.status, result.found.startswith(found)) == (status, True), result.found


@pytest.mark.parametrize("name", ["other", "table checked", "table referred to"])
def test_a_table_with_the_name_of_an_alias_is_referred_to(branch: Branch, name: str) -> None:
    branch.commit(
        f"CREATE TABLE `{name}` (id INT PRIMARY KEY, up INT)", f"INSERT INTO `{name}` VALUES (1, 1)"
    )
    checks = {"shop": {"references": {"sold": f"{name}.id"}}, name: {"references": {"up": "shop.id"}}}
    found = branch.check(checks, f"UPDATE `{name}` SET up = 7")
    assert found["shop.references.sold"].found == "3 such rows"
    assert list(found[f"{name}.references.up"].offending) == [{"id": 1, "up": 7, "written by": "this run"}]
    assert branch.one(name, {"references": {"up": f"{name}.id"}}).found == "1 such rows"


def test_what_is_accepted(branch: Branch) -> None:
    section = {
        "shop": {
            "max_rows_changed": 0,
            "not_null": ["name", "sold"],
            "row_count": {"limit": 9, "severity": "warn"},
        }
    }
    results = list(branch.check(section, "UPDATE shop SET name = NULL, sold = NULL").values())

    def left(*names: str) -> list[str]:
        accepted = Acceptance(names, "Ada <ada@localhost>", "known").applied(results)
        assert {r.accepted_by for r in accepted if r.status == "accepted"} <= {"Ada <ada@localhost>"}
        return [result.check_name for result in refusing(accepted)]

    assert left() == ["max_rows_changed", "not_null.name", "not_null.sold"]
    assert left("max_rows_changed", "not_null.name") == ["not_null.sold"]
    assert left("shop.not_null", "shop.max_rows_changed") == []
    assert left("SHOP.not_null.name", "Shop.max_rows_changed") == ["not_null.sold"]
    assert left("heap.not_null", "unique", "row_count") == left()
