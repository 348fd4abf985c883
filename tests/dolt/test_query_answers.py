"""Random queries give in Dolt, over a server, what they give in SQLite."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from test_table_dataset import EXAMPLES

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt.query import execute

# `{c}` and `{d}` are conditions on one table, `{a}` is one on the first of two.
SHAPES = [
    "SELECT * FROM {t} WHERE {c}",
    "SELECT id, x FROM {t} WHERE {c}",
    "SELECT DISTINCT x FROM {t} WHERE {c}",
    "SELECT x, COUNT(*) FROM {t} WHERE {c} GROUP BY x",
    "SELECT x, COUNT(*) FROM {t} GROUP BY x HAVING COUNT(*) >= 2",
    "SELECT COUNT(*), SUM(x) FROM {t} WHERE {c}",
    "SELECT * FROM {t} WHERE {c} ORDER BY y, id",
    "SELECT * FROM {t} WHERE {c} LIMIT 100",
    "SELECT id FROM n WHERE {c} UNION ALL SELECT id FROM m WHERE {d}",
    "SELECT * FROM (SELECT * FROM {t}) AS q",
    "SELECT * FROM (SELECT * FROM {t} WHERE {c}) AS q",
    "SELECT * FROM (SELECT * FROM {t}) AS q WHERE {c}",
    "WITH q AS (SELECT * FROM {t}) SELECT * FROM q",
    "WITH q AS (SELECT * FROM {t} WHERE {c}) SELECT * FROM q WHERE {d}",
    "SELECT a.id, b.x FROM n a JOIN m b ON a.id = b.id WHERE {a}",
    "SELECT a.id, b.x FROM n a LEFT JOIN m b ON a.x = b.x WHERE {a}",
    "SELECT * FROM {t} WHERE id IN (SELECT id FROM n WHERE {c})",
    "SELECT * FROM n WHERE EXISTS (SELECT 1 FROM m WHERE m.id = n.id AND m.x <= 1)",
    "SELECT id, CASE WHEN x >= 1 THEN 1 ELSE 0 END FROM {t} WHERE {c}",
    "SELECT id, ROW_NUMBER() OVER (ORDER BY id) FROM {t} WHERE {c}",
]


def condition(choose: random.Random, depth: int, table: str = "") -> str:
    kind = choose.random()
    if depth and kind < 0.2:
        return f"NOT ({condition(choose, depth - 1, table)})"
    if depth and kind < 0.6:
        sides = [condition(choose, depth - 1, table) for _ in range(2)]
        return f"({sides[0]}) {choose.choice(['AND', 'OR'])} ({sides[1]})"
    columns = [f"{table}{column}" for column in ("id", "x", "y", "x + 1")]
    left, right, other = choose.choice(columns), *choose.choices([*columns, "0", "1", "-1", "NULL"], k=2)
    ends = [f"{sign} {right}" for sign in ("=", "<>", "<", "<=", ">", ">=")]
    ends += [f"BETWEEN {right} AND {other}", f"NOT BETWEEN {right} AND {other}"]
    return f"{left} {choose.choice([*ends, 'IN (0, 2)', 'NOT IN (1, -1)', 'IS NULL', 'IS NOT NULL', ''])}"


def plain(rows: Sequence[Sequence[Any]]) -> list[str]:
    return sorted(repr([None if value is None else int(value) for value in row]) for row in rows)


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_random_queries(database: Database, seed: int) -> None:
    choose, sqlite = random.Random(seed), sqlite3.connect(":memory:")
    with database() as connection, connection.cursor() as cursor:
        for table in "nm":
            rows = [(key, *choose.choices([None, -1, 0, 1, 2], k=2)) for key in range(12)]
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            for one in (cursor, sqlite):
                one.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, x INT, y INT)")
            cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s, %s)", rows)
            sqlite.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)
        connection.commit()
        for _ in range(20):
            for shape in SHAPES:
                query = shape.format(
                    t=choose.choice("nm"),
                    c=condition(choose, 2),
                    d=condition(choose, 1),
                    a=condition(choose, 1, "a."),
                )
                execute(cursor, query, None)
                assert plain(cursor.fetchall()) == plain(sqlite.execute(query).fetchall()), query
