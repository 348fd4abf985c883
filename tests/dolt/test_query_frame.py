"""The frames of queries: each column with the type that ``pandas.read_sql_table`` gives it."""

from __future__ import annotations

from contextlib import closing

import pandas as pd
import pytest
from test_table_dataset import query, same, stock

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt.query import read
from kedro_doltdb.errors import QueryError
from kedro_doltdb.tables.query_frame import query_frame


def ask(database: Database, statement: str) -> pd.DataFrame:
    with closing(database()) as connection, connection.cursor() as cursor:
        read(cursor, statement)
        return query_frame(cursor)


@pytest.fixture
def kinds(database: Database) -> str:
    query(database, "DROP TABLE IF EXISTS kinds")
    query(
        database,
        "CREATE TABLE kinds (id INT PRIMARY KEY, a TINYINT, b BIGINT, c DOUBLE, d FLOAT, e DECIMAL(9,3), "
        "f DATE, g DATETIME(6), h TIMESTAMP, i LONGTEXT, j VARCHAR(9), k LONGBLOB, l BIGINT)",
    )
    return "SELECT * FROM kinds"


def test_types_are_those_of_a_table_that_is_loaded(database: Database, kinds: str) -> None:
    query(
        database,
        "INSERT INTO kinds VALUES (1, 2, 9007199254740993, 0.1, 0.1, 1.5, '2020-01-02', "
        "'1600-01-02 03:04:05.6', '2020-01-02 03:04:05', 'é%', '', x'00ff', NULL), "
        "(2, -2, -1, -0.0, 1, -2.25, NULL, NULL, NULL, NULL, NULL, NULL, 7)",
    )
    same(ask(database, kinds), stock(database, table="kinds").load())


def test_no_rows_have_types_as_well(database: Database, kinds: str) -> None:
    dtypes = ask(database, kinds).dtypes
    assert [str(dtypes[name]).partition("[")[0] for name in "abcdefgh"] == [
        "int64", "int64", "float64", "float64", "float64", "datetime64", "datetime64", "datetime64",
    ]  # fmt: skip


def test_columns_of_one_name(database: Database) -> None:
    frame = ask(database, "SELECT 1 AS a, 'x' AS a")
    assert list(frame.columns) == ["a", "a"] and frame.iloc[0].tolist() == [1, "x"]


@pytest.mark.parametrize(
    "statement",
    [
        "WITH old AS (SELECT 1) DELETE FROM kinds",
        "EXPLAIN DELETE FROM kinds",
        "WITH x AS (SELECT 5 AS id) UPDATE kinds SET a = 3",
    ],
)
def test_a_query_that_turns_out_to_write_is_refused(database: Database, kinds: str, statement: str) -> None:
    query(database, "INSERT INTO kinds (id) VALUES (1)")
    before = query(database, "SELECT dolt_hashof_table('kinds')")
    with pytest.raises(QueryError, match="Only queries can be sent here"):
        ask(database, statement)
    assert query(database, "SELECT dolt_hashof_table('kinds')") == before
