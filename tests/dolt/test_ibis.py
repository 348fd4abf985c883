"""The Ibis backend: values are exact, what is computed is right, what cannot be done is refused."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import ibis
import polars as pl
import pytest
from ibis.common.exceptions import IbisError, OperationNotDefinedError, TableNotFound
from kedro_datasets.ibis import TableDataset
from test_table_dataset import hash_of, ours, query

from kedro_doltdb.catalog.chunks import replaces
from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.catalog.footprint import find_database, other_database, table_of
from kedro_doltdb.errors import BulkLoadError, ConfigError, DoltError

ROWS = {
    "id": [1, 2, 3],
    "name": ["a'b\\n\\", 'x"%s', None],
    "x": [1.5, None, -0.0],
    "day": [dt.date(2020, 1, 1), None, dt.date(1, 1, 1)],
    "at": [dt.datetime(2020, 1, 1, 1, 2, 3, 4), None, dt.datetime(9999, 12, 31)],
    "time": [dt.time(1, 2, 3, 5), None, dt.time()],
    "raw": [b"\xff\x00", None, b""],
    "price": [Decimal("1.50"), None, Decimal("-0.01")],
    "ok": [True, None, False],
}
FRAME = pl.DataFrame(ROWS).cast({"price": pl.Decimal(9, 2)})


@pytest.fixture
def con(database: Database) -> Any:
    for row in query(database, "SHOW TABLES"):
        query(database, f"DROP TABLE IF EXISTS `{row[0]}`")
    return ibis.dolt.connect(**database.credentials())


def key_of(database: Database, table: str) -> list[str]:
    return [row[0] for row in query(database, f"SHOW COLUMNS FROM `{table}`") if row[3] == "PRI"]


def test_what_is_saved_comes_back(con: Any, database: Database) -> None:
    table = con.create_table("t", FRAME, primary_key="id")
    assert table.order_by("id").to_pyarrow().to_pylist() == FRAME.to_dicts()
    assert str(table.to_pyarrow()["x"][2].as_py()) == "-0.0"
    assert table.order_by("id").to_polars().equals(FRAME)
    assert table.schema()["ok"].is_boolean() and table.schema()["price"].precision == 9
    saved = hash_of(database)
    # The same as every other way to save it.
    query(database, "DROP TABLE t")
    ours(database, "id").save(FRAME)
    assert hash_of(database) == saved
    assert con.create_table("t", con.table("t"), overwrite=True, primary_key="id") is not None
    assert hash_of(database) == saved


def test_expressions_run_in_dolt(con: Any) -> None:
    table = con.create_table("t", FRAME, primary_key="id")
    values = table.order_by("id").select(
        a=(table.id - 1) / (table.id + 2) / 3, b=ibis.literal(0.1) + 0.2, c=table.id / 3, d=~table.ok
    )
    assert values.to_pyarrow().to_pydict() == {
        "a": [0.0, 1 / 4 / 3, 2 / 5 / 3],
        "b": [0.1 + 0.2] * 3,
        "c": [1 / 3, 2 / 3, 1.0],
        "d": [False, None, True],
    }
    bits = table.order_by("id").select(a=~table.id, b=table.x.isnan()).to_pyarrow().to_pydict()
    assert bits == {"a": [-2, -3, -4], "b": [False, None, False]}
    for condition in (table.ok, table.ok & (table.id > 0), (table.ok | table.ok) & table.ok):
        assert table.filter(condition).to_pyarrow()["id"].to_pylist() == [1]
    assert table.filter(~table.ok).count().execute() == 1
    frame = ibis.memtable({"id": [1, 2], "word": ["it's \\ 'q'", "b\nc"], "v": [0.1, None]})
    joined = table.join(frame, "id").select("id", "word", "v").order_by("id").to_pyarrow().to_pylist()
    assert joined == [{"id": 1, "word": "it's \\ 'q'", "v": 0.1}, {"id": 2, "word": "b\nc", "v": None}]
    assert con.execute(frame.filter(frame.id > 5).count()) == 0
    counted = con.sql("SELECT id, COUNT(*) OVER () AS n FROM t")
    assert counted.filter(counted.id == 2).to_pyarrow()["n"].to_pylist() == [3]


AT = ibis.literal(dt.datetime(2020, 5, 17, 1, 2, 3, 250000))
UUID = "08f48812-7948-4718-96c7-27fa6a398db6"
PRICE = ibis.literal(Decimal("1.2345"), "decimal(12, 4)")
DAY, NOON = ibis.literal(dt.date(2020, 5, 17)), ibis.literal(dt.time(12, 0, 0, 500000))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (ibis.literal("A") == "a", False),
        (ibis.literal("é").isin(["e"]), False),
        (ibis.memtable({"x": ["a", "A"]}).x.nunique(), 2),
        (ibis.literal("aBc").contains("b"), False),
        (ibis.literal("xaBc").contains("B"), True),
        (ibis.literal("aBcb").find("b"), 3),
        (ibis.literal("abcb").find("b", 2), 3),
        (ibis.literal("abc").find("x", 1), -1),
        (ibis.literal("é").lpad(3, "ü"), "üüé"),
        (ibis.literal("é").rpad(3, "ü"), "éüü"),
        (ibis.literal("abc").rpad(2, "x"), "abc"),
        (ibis.literal("xy12ab").re_extract(r"(\d+)(a)", 2), "a"),
        (ibis.literal("foobar").re_extract("(f)oo(?=bar)", 1), "f"),
        (ibis.literal("xy12ab").re_extract(r"\d+", 0), "12"),
        (ibis.literal("a").re_extract("(b)", 1), None),
        (AT + ibis.interval(milliseconds=500), dt.datetime(2020, 5, 17, 1, 2, 3, 750000)),
        (AT - ibis.interval(days=1), dt.datetime(2020, 5, 16, 1, 2, 3, 250000)),
        (AT + (ibis.interval(days=2) - ibis.interval(hours=1)), dt.datetime(2020, 5, 19, 0, 2, 3, 250000)),
        (DAY - ibis.interval(days=17), dt.date(2020, 4, 30)),
        (AT - dt.datetime(2020, 5, 16), dt.timedelta(1, 3723)),
        (AT.truncate("Q"), dt.datetime(2020, 4, 1)),
        (AT.truncate("s").time(), dt.time(1, 2, 3)),
        (AT.time().cast("string"), "01:02:03.250000"),
        (DAY.cast("string"), "2020-05-17"),
        (NOON, dt.time(12, 0, 0, 500000)),
        (ibis.literal(-1.5).cast("timestamp"), dt.datetime(1969, 12, 31, 23, 59, 58, 500000)),
        (ibis.literal(dt.datetime(1969, 12, 31)).epoch_seconds(), -86400),
        (ibis.null("string").as_timestamp("%Y"), None),
        (ibis.uuid(UUID).cast("string"), UUID),
        (ibis.literal(0.3).sign(), 1.0),
        (ibis.literal(-0.1).cast("bool"), True),
        (ibis.literal(True).cast("string"), "true"),
        (ibis.literal("x").try_cast("int64"), None),
        (ibis.literal(" \t x\n ").strip(), "x"),
        (ibis.literal("\t x").lstrip(), "x"),
        (ibis.greatest(DAY, dt.date(2020, 5, 18), ibis.null("date")), dt.date(2020, 5, 18)),
        (ibis.literal(3).clip(ibis.null("int64"), 2), 2),
        (AT.strftime("%H:%M:%S %B"), "01:02:03 May"),
        (ibis.literal("2020-05-06 01:02:03").as_date("%Y-%m-%d %H:%M:%S"), dt.date(2020, 5, 6)),
        (ibis.literal(dt.datetime(1969, 12, 31, 23, 59, 58, 500000)).epoch_seconds(), -2),
        (ibis.literal(-3) & -5, -7),
        (ibis.literal(-1) // 30_000, -1),
        (ibis.coalesce(PRICE, ibis.literal(Decimal("0"), "decimal(9, 2)")), Decimal("1.2345")),
        (ibis.literal(Decimal("1.5"), "decimal(9, 2)").cast("decimal(10, 0)") == 2, True),
        ((~ibis.literal(True)).isnull(), False),
        (ibis.literal(2).between(1, 2) == ibis.literal(True), True),
        (ibis.date(ibis.null("int64"), 1, 1), None),
        (ibis.literal(-0.1) * -0.1, 0.1 * 0.1),
        (ibis.memtable({"x": [1, 2]}).x.std(), 0.5**0.5),
        (ibis.memtable({"x": [1, 2]}).x.bit_xor(where=False), None),
        (ibis.memtable({"x": [1, 2]}).filter(ibis._.x > 2).count(where=ibis._.x > 1), 0),
        (ibis.memtable({"x": ["", "a", ""]}).x.group_concat("--", order_by=ibis._.x), "----a"),
    ],
)  # fmt: skip
def test_what_sql_for_mysql_would_compute_wrongly_in_dolt(con: Any, expression: Any, value: Any) -> None:
    rows = con.to_pyarrow(expression.name("x").as_table()).to_pylist()
    assert rows == [{"x": value}]


def test_texts_and_json_in_tables(con: Any, database: Database) -> None:
    words = [f"word {number}" for number in range(300)]
    con.create_table("t", {"word": words}, schema={"word": "string"})
    table = con.table("t")
    joined = table.word.group_concat(",").execute()
    assert sorted(joined.split(",")) == sorted(words)
    assert con.execute(DAY - dt.date(2020, 5, 1)) == dt.timedelta(16)
    query(database, "CREATE TABLE j (id INT PRIMARY KEY, js JSON, day TEXT)")
    query(database, "INSERT INTO j VALUES (1, '42', '2020-01-02'), (2, '1.5', NULL), (3, 'true', 'no')")
    rows = con.table("j").order_by("id")
    got = rows.select(
        number=rows.js.unwrap_as("int64"),
        ok=rows.js.unwrap_as("bool"),
        day=rows.day.as_date("%Y-%m-%d"),
        year=rows.day.re_extract(r"(\d+)-", 1),
    )
    assert got.to_pyarrow().to_pylist() == [
        {"number": 42, "ok": None, "day": dt.date(2020, 1, 2), "year": "2020"},
        {"number": None, "ok": None, "day": None, "year": None},
        {"number": None, "ok": True, "day": None, "year": None},
    ]


def test_semi_and_anti_joins_of_queries(con: Any) -> None:
    left = con.create_table("l", {"a": [1, 2, 3, None], "b": ["x", "y", None, "x"]})
    right = con.create_table("r", {"a": [1, 2, None, 1], "b": ["x", "Y", "x", "x"]})
    most = right.group_by("a", "b").agg(n=right.count()).order_by(ibis.desc("n")).limit(9)
    for other in (right, most):
        for keys, found in (("b", {1, None}), ("a", {1, 2}), (["a", "b"], {1})):
            assert set(left.semi_join(other, keys).to_pyarrow()["a"].to_pylist()) == found
            kept = set(left.anti_join(other, keys).to_pyarrow()["a"].to_pylist())
            assert kept == {1, 2, 3, None} - found
    # Not each row with each, which would take minutes.
    many = con.create_table("many", {"word": [str(number) for number in range(20_000)]})
    assert many.semi_join(many.group_by("word").agg(), "word").count().execute() == 20_000
    assert many.join(many.view(), "word").count().execute() == 20_000


def test_aggregates_and_windows(con: Any) -> None:
    table = con.create_table("t", {"id": [1, 2, 3, 4], "s": ["a", "A", None, "A"], "n": [1, 2, None, 4]})
    sums = [table.n.sum(where=table.s == letter).name(name) for letter, name in (("a", "x"), ("A", "y"))]
    assert table.agg(sums).to_pyarrow().to_pylist() == [{"x": 1, "y": 6}]
    every = ibis.window(order_by="id", preceding=None, following=None)
    windows = table.select("id", *[one.over(every) for one in sums]).to_pyarrow().to_pydict()
    assert (windows["x"], windows["y"]) == ([1] * 4, [6] * 4)
    # Not whole numbers, as the column is; not 0 or NaN of NULL alone.
    means = table.select(
        "id", a=table.n.mean().over(every), b=table.n.std().over(every), c=table.n / table.n.sum()
    )
    assert means.order_by("id").to_pyarrow().to_pylist()[0] == {
        "id": 1,
        "a": 7 / 3,
        "b": pytest.approx(1.5275252),
        "c": 1 / 7,
    }
    own = ibis.window(group_by="id")
    alone = table.order_by("id").select(a=table.n.sum().over(own), b=table.n.mean().over(own)).to_pyarrow()
    assert alone.to_pydict() == {"a": [1, 2, None, 4], "b": [1.0, 2.0, None, 4.0]}
    price = con.create_table("p", pl.DataFrame({"p": [Decimal("1.00"), Decimal("0.01")]})).p
    assert price.mean().execute() == Decimal("0.51")


def test_the_same_value_in_both_of_two_queries(con: Any) -> None:
    rows = {"day": [dt.date(2020, 1, 1)], "at": [dt.datetime(2020, 1, 1)], "ok": [True], "id": [1]}
    table = con.create_table("t", rows)
    computed = ibis.memtable(rows, schema=table.schema()).mutate(ok=ibis._.id == 1)
    for column in ("day", "at", "ok"):
        one, other = table.select(column), computed.select(column)
        assert con.execute(ibis.union(one, other, distinct=True).count()) == 1
        assert con.execute(ibis.intersect(one, other).count()) == 1
        assert con.execute(ibis.difference(one, other).count()) == 0


def test_null_is_neither_less_nor_more(con: Any) -> None:
    table = con.create_table("t", {"id": [1, 2, 3], "n": [1, None, 3]}, primary_key="id")
    for condition in (
        table.n <= 3,
        table.n >= 1,
        ~(table.n < 1),
        ~(table.n > 3),
        (table.n <= 3) & (table.id > 0),
    ):
        assert table.filter(condition).order_by("id").to_pyarrow()["id"].to_pylist() == [1, 3]
        assert table.filter(condition).count().execute() == len(table.filter(condition).execute()) == 2


def test_what_is_not_in_a_query(con: Any) -> None:
    table = con.create_table("t", {"id": [1, 2, 3], "n": [1, 2, None]}, primary_key="id")
    other = con.create_table("u", {"id": [1, 5]}, primary_key="id")
    assert table.filter(~table.n.isin(other.id)).to_pyarrow()["id"].to_pylist() == [2]
    assert table.filter(table.n.notin(other.id)).to_pyarrow()["id"].to_pylist() == [2]
    # A text of a column that is TEXT is equal to itself.
    words = con.create_table(
        "w", {"id": [1, 2], "word": ["x", "y"]}, schema={"id": "int64", "word": "string"}
    )
    found = words.filter(words.word == "x")
    for keys in (["id", "word"], ["word", "id"]):
        anti = words.anti_join(found, keys)
        assert anti.to_pyarrow()["id"].to_pylist() == [2]
        assert anti.anti_join(words, keys).count().execute() == 0
        assert (
            words.anti_join(found, keys).anti_join(words.filter(words.id == 2), keys).count().execute() == 0
        )


def test_first_rows_of_queries(con: Any) -> None:
    con.create_table("t", FRAME, primary_key="id")
    for asked in ("SELECT * FROM t", "WITH x AS (SELECT * FROM t) SELECT * FROM x"):
        assert con.sql(asked).limit(2).count().execute() == 2
        assert len(con.sql(asked).limit(2).execute()) == 2 and len(con.sql(asked).execute()) == 3
    assert len(con.table("t").sql("SELECT * FROM t", dialect="dolt").limit(1).execute()) == 1
    empty = ibis.memtable({"a": [], "b": []}, schema={"a": "int64", "b": "string"})
    assert con.to_pyarrow(empty).to_pydict() == {"a": [], "b": []}


def test_modes_of_saving(con: Any, database: Database) -> None:
    con.create_table("t", FRAME, primary_key="id")
    table = con.table("t")
    con.insert("t", table.mutate(id=table.id + 10))
    con.upsert("t", table.filter(table.id <= 2).mutate(x=9.0, id=table.id * 2), on="id")
    assert query(database, "SELECT id, x FROM t ORDER BY id") == [
        (1, 1.5), (2, 9.0), (3, -0.0), (4, 9.0), (11, 1.5), (12, None), (13, -0.0),
    ]  # fmt: skip
    con.create_table("t", table.filter(table.id > 10), overwrite=True)
    assert key_of(database, "t") == ["id"] and table.count().execute() == 3
    other = ibis.polars.connect().create_table("other", FRAME.select("id", "name"))
    con.create_table("mine", other.mutate(twice=other.id * 2), primary_key=["id", "twice"])
    assert key_of(database, "mine") == ["id", "twice"]
    con.create_table("keyless", FRAME)
    con.insert("keyless", FRAME)
    con.create_table("keyless", con.table("keyless").filter(ibis._.id == 1), overwrite=True)
    assert con.table("keyless").count().execute() == 2 and key_of(database, "keyless") == []
    con.create_table("none", schema={"a": "int64", "b": "string"})
    con.drop_table("none")
    assert con.list_tables() == ["keyless", "mine", "t"]


def test_what_is_refused(con: Any, database: Database) -> None:
    table = con.create_table("t", FRAME, primary_key="id")
    before = hash_of(database)
    for action, error, words in (
        (lambda: con.create_table("t", FRAME), IbisError, "is there already"),
        (lambda: con.insert("t", table), BulkLoadError, "cannot be appended: 1, 2, 3. Nothing"),
        (lambda: con.insert("t", FRAME.rename({"x": "y"})), BulkLoadError, "no column 'y'"),
        (lambda: con.upsert("t", table, on="name"), BulkLoadError, "has the primary key id, not name"),
        (lambda: con.upsert("t", FRAME.select("id"), on="id"), BulkLoadError, "does not fit"),
        (lambda: con.create_table("u", FRAME, primary_key="name"), BulkLoadError, "must have a value"),
        (lambda: con.create_table("u", FRAME, temp=True), IbisError, "does not support temporary tables"),
        (lambda: con.create_view("v", table), ConfigError, "does not support views"),
        (lambda: con.table("t", database="other"), ConfigError, "run's branch alone"),
        (lambda: con.table("nowhere"), TableNotFound, "nowhere"),
        (lambda: table.id.median().execute(), OperationNotDefinedError, "Median"),
        (lambda: con.execute(DAY.strftime("%y")), IbisError, "nothing for %y"),
        (lambda: table.nunique().execute(), IbisError, "distinct\\(\\).count\\(\\)"),
        (lambda: con.execute(ibis.literal("true").cast("bool")), IbisError, "no cast of text to boolean"),
        (lambda: con.sql("SELECT nothing(id) FROM t"), DoltError, "nothing"),
        (lambda: ibis.dolt.connect(host="127.0.0.1"), ConfigError, "credentials: dolt"),
    ):
        with pytest.raises(error, match=words):
            action()
        assert hash_of(database) == before
    assert con.list_tables() == ["t"]


def test_what_a_run_sees_of_its_dataset(database: Database) -> None:
    def entry(**args: Any) -> TableDataset:
        return TableDataset(
            table_name="t", connection={"backend": "dolt"}, credentials=database.credentials(), **args
        )

    dataset = entry(save_args={"materialized": "table", "mode": "overwrite"})
    assert find_database(dataset) is database and table_of(dataset) == "t" and replaces(dataset)
    assert not replaces(entry(save_args={"materialized": "table", "mode": "append"}))
    assert other_database(entry(database="elsewhere"), database.name) == "elsewhere"
