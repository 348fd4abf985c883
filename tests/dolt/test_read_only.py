"""Queries that write files or variables are refused on a server that lets files be written anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dolt_server import dolt_server

from kedro_doltdb.dolt.query import read
from kedro_doltdb.errors import QueryError


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with dolt_server(tmp_path_factory.mktemp("read")) as engine:
        yield engine


@pytest.fixture
def cursor(server: Any) -> Iterator[Any]:
    connection = server.raw_connection()
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 INTO OUTFILE '{file}'",
        "SELECT 1INTO OUTFILE '{file}'",
        "SELECT 1 into\n/* a */ dumpfile '{file}';",
        "SELECT 1 /*!INTO OUTFILE '{file}' */",
        "(SELECT 1 INTO OUTFILE '{file}')",
        "(SELECT 1) INTO OUTFILE '{file}'",
        "WITH a AS (SELECT 1) SELECT * FROM a INTO OUTFILE '{file}'",
        "TABLE dolt_log INTO OUTFILE '{file}'",
        "VALUES ROW(1) INTO OUTFILE '{file}'",
        "EXPLAIN SELECT 1 INTO OUTFILE '{file}'",
        "DESCRIBE /* a */ ANALYZE -- b\n SELECT 1 INTO OUTFILE '{file}'",
        "SELECT %s INTO OUTFILE '{file}'",
        "SELECT 1 INTO @x",
    ],
)
def test_into_is_refused(cursor: Any, tmp_path: Path, query: str) -> None:
    query = query.replace("{file}", str(tmp_path / "out"))
    with pytest.raises(QueryError, match="Only queries can be sent here"):
        read(cursor, query, ["a"] if "%s" in query else None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("SELECT 'put into @x', 50 % 7", None),
        ("SELECT %s INTO_", ["into outfile"]),
        ("SELECT message FROM dolt_log WHERE message LIKE %(a)s;", {"a": "into"}),
        ("SELECT 1 AS a, 2 AS a, 'into'", None),
        ("WITH into_ AS (SELECT 1) SELECT * FROM into_ -- into", None),
        ("(SELECT 'into') UNION (SELECT 2) ORDER BY 1 LIMIT 1", None),
        ("SHOW TABLES LIKE '%into%'", None),
        ("DESCRIBE dolt_log -- into", None),
        ("EXPLAIN ANALYZE SELECT 'into'", None),
        ("TABLE dolt_log # into", None),
    ],
)
def test_the_word_may_stand_elsewhere(cursor: Any, query: str, parameters: Any) -> None:
    read(cursor, query, parameters)
    cursor.fetchall()


def test_an_answer_without_columns_is_refused(cursor: Any) -> None:
    cursor.execute("CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY)")
    cursor.execute("REPLACE INTO t VALUES (1), (2)")
    cursor.connection.commit()
    for query in (
        "SELECT * FROM (SELECT * FROM t) AS x LIMIT 1",
        "WITH x AS (SELECT * FROM t) SELECT * FROM x LIMIT 1",
    ):
        with pytest.raises(QueryError, match="write WHERE TRUE before the LIMIT"):
            read(cursor, query)
        cursor.connection.rollback()
        read(cursor, query.replace("LIMIT", "WHERE TRUE LIMIT"))
        assert cursor.fetchall() == ((1,),)
        cursor.connection.rollback()
    for query in ("SELECT * FROM t WHERE FALSE", "SHOW TABLES LIKE 'nothing'", "DESCRIBE t"):
        read(cursor, query)
        cursor.fetchall()
        cursor.connection.rollback()


CONDITIONS = {
    "x <= 3": [1, 3],
    "x >= 1": [1, 3],
    "NOT x < 1": [1, 3],
    "NOT (x > 3)": [1, 3],
    "y <= x": [3],
    "x BETWEEN y AND y": [3],
    "id": [1, 2, 3],
    "x": [1, 3],
    "x IS NULL OR x >= 3": [2, 3],
}
QUERIES = {f"SELECT * FROM n WHERE {condition}": ids for condition, ids in CONDITIONS.items()} | {
    "WITH q AS (SELECT * FROM n WHERE x <= 3) SELECT * FROM q": [1, 3],
    "SELECT * FROM (SELECT * FROM n) AS q where x <= 3": [1, 3],
    # Without a condition of its own, a limit around it would lose the columns.
    "WITH q AS (SELECT * FROM n), r AS (SELECT 1 FROM n WHERE x > 1) SELECT * FROM q": [1, 2, 3],
    # For what is sorted and has a large limit, Dolt reserves so much memory that it ends.
    "SELECT * FROM n WHERE x <= 3 ORDER BY x": [1, 3],
    "SELECT id FROM n WHERE x >= 1 ORDER\nby y DESC": [1, 3],
    "SELECT * FROM n WHERE x <= 3 AND 'order by' <> `y` -- ORDER BY id": [1, 3],
    "/* WHERE */ SELECT * FROM (SELECT * FROM n) AS q": [1, 2, 3],
    "TABLE n": [1, 2, 3],
}


ROWS = ["CREATE TABLE n (id INT PRIMARY KEY, x INT, y INT)"]
ROWS += ["INSERT INTO n VALUES (1, 1, 2), (2, NULL, NULL), (3, 3, 3)"]


@pytest.fixture(scope="module")
def filled(server: Any) -> None:
    with server.begin() as connection:
        for statement in ROWS:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize(("query", "ids"), QUERIES.items())
def test_a_condition_is_what_it_says(filled: None, cursor: Any, query: str, ids: list[int]) -> None:
    read(cursor, query)
    assert sorted(row[0] for row in cursor.fetchall()) == ids
