"""What the URL ``dolt+pymysql://`` changes in SQLAlchemy, on the catalog's own credentials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from kedro.io import DatasetError
from kedro_datasets.pandas import SQLQueryDataset, SQLTableDataset
from test_read_only import QUERIES, ROWS
from test_table_dataset import query

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.tables.bulk_load import bulk_load


def table(database: Database, name: str, method: Any = None) -> SQLTableDataset:
    return SQLTableDataset(
        table_name=name,
        credentials=database.credentials(),
        save_args={"if_exists": "replace", "method": method},
    )


def ask(database: Database, sql: str, **load_args: Any) -> list[list[Any]]:
    dataset = SQLQueryDataset(sql=sql, credentials=database.credentials(), load_args=load_args)
    return [list(row) for row in dataset.load().itertuples(index=False)]


@pytest.mark.parametrize("method", [None, bulk_load("id")])
def test_floating_point_numbers_are_those_of_the_frame(database: Database, method: Any) -> None:
    doubles = [1e-12, 1 / 3, 2.453688144683838, 5e-324, 1.7976931348623157e308, -1e22, 123456789.123456789]
    frame = pd.DataFrame(
        {
            "id": range(len(doubles)),
            "x": doubles,
            "y": pd.array([*doubles[1:], None], dtype="Float64"),
            "z": np.array([1e-12, 0.1, 0.25, 1e30, 16777216, -3, 0.1], "float32"),
        }
    )
    dataset = table(database, "doubles", method)
    dataset.save(frame)
    loaded = dataset.load().sort_values("id", ignore_index=True)
    assert loaded["x"].tolist() == doubles
    assert loaded["y"].tolist()[:-1] == doubles[1:] and np.isnan(loaded["y"].iloc[-1])
    # Single precision is read as the decimal number that was meant: 0.1 is 0.1.
    assert loaded["z"].tolist() == [1e-12, 0.1, 0.25, 1e30, 16777216, -3, 0.1]


def test_floating_point_numbers_of_a_preview(database: Database) -> None:
    dataset = table(database, "previewed")
    dataset.save(pd.DataFrame({"x": [1e-12]}))
    assert dataset.preview(1)["data"] == [[1e-12]]


@pytest.fixture(scope="module")
def numbers(database: Database) -> str:
    frame = pd.DataFrame({"id": [1, 2, 3], "name": ["setosa", "a%b", "virginica"]})
    table(database, "numbers", bulk_load("id")).save(frame)
    return "numbers"


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT id FROM numbers WHERE name LIKE 'set%'", [[1]]),
        ("SELECT id FROM numbers WHERE name LIKE 'set%%'", [[1]]),
        ("SELECT id % 2 AS m FROM numbers ORDER BY id", [[1], [0], [1]]),
        ("SELECT id %% 2 AS m FROM numbers ORDER BY id", [[1], [0], [1]]),
        ("SELECT DATE_FORMAT('2024-02-03', '%Y/%m')", [["2024/02"]]),
        ("SELECT DATE_FORMAT('2024-02-03', '%%Y/%%m')", [["2024/02"]]),
        ("SELECT '100%', '%s', '%(x)s', '50% of :x'", [["100%", "%s", "%(x)s", "50% of :x"]]),
        ("-- 50% of them\nSELECT id FROM numbers WHERE name LIKE '%\\%b' /* 100% */", [[2]]),
    ],
)
def test_percent_signs_in_a_query(database: Database, numbers: str, sql: str, rows: list[Any]) -> None:
    assert ask(database, sql) == rows


def test_values_for_a_query(database: Database, numbers: str) -> None:
    sql = "SELECT id FROM numbers WHERE name LIKE %(s)s AND name NOT LIKE 'a%%' AND id < %(n)s"
    assert ask(database, sql, params={"s": "%", "n": 3}) == [[1]]


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT id FROM numbers WHERE name LIKE 'set%' AND id < %(n)s", {"n": 3}),
        ("SELECT id FROM numbers WHERE name LIKE 'set%' AND id < %s", (3,)),
        ("SELECT id FROM numbers WHERE id < %(other)s", {"n": 3}),
    ],
)
def test_values_that_do_not_fit_the_query(database: Database, numbers: str, sql: str, params: Any) -> None:
    with pytest.raises(
        DatasetError, match=r"do not fit .*write a percent sign that stands for no value as `%%`"
    ):
        ask(database, sql, params=params)


def test_a_condition_is_what_it_says(database: Database) -> None:
    for statement in ROWS:
        query(database, statement)
    for asked, ids in QUERIES.items():
        assert sorted(row[0] for row in ask(database, asked)) == ids
    # One after another on one connection, in any order.
    engine = sa.create_engine(**{"url" if k == "con" else k: v for k, v in database.credentials().items()})
    with engine.connect() as connection:
        for one, ids in QUERIES.items():
            for other, found in QUERIES.items():
                for asked, expected in ((one, ids), (other, found)):
                    assert sorted(pd.read_sql_query(sa.text(asked), connection)["id"]) == expected
