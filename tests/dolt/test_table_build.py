"""Saves are whole or refused: what stood stays, whatever the frame is like and whatever ends the save."""

from __future__ import annotations

import datetime as dt
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pymysql
import pytest
from hypothesis import given, settings
from kedro.io import DatasetError
from sqlalchemy import types
from test_bulk_load import relaxed
from test_table_dataset import (
    EXAMPLES,
    columns_of,
    empty,
    hash_of,
    ours,
    pairs,
    query,
    same,
    stock,
)

from kedro_doltdb.catalog.credentials import Database
from kedro_doltdb.dolt_cli import initialise
from kedro_doltdb.errors import ConfigError
from kedro_doltdb.settings import Settings
from kedro_doltdb.tables import keyed_table, table_build, table_read, table_write
from kedro_doltdb.tables.table_build import discard_unfinished

TIMES = [dt.time(1), dt.time(2), dt.time(3)]
GOOD = pd.DataFrame({"id": [1, 2, 3], "x": [1.0, 2.0, 3.0], "n": ["a", "b", "c"]})
TIMED = GOOD.assign(t=TIMES)
FLOATS = GOOD.assign(id=[1.5, 2.5, 3.5])


def names(database: Database, what: str) -> list[str]:
    return [row[0] for row in query(database, what)]


def state(database: Database) -> list[Any]:
    """All that a save of the table `t` may not touch when it is refused."""
    return [
        hash_of(database),
        query(database, "SHOW CREATE TABLE t"),
        names(database, "SHOW TABLES"),
        names(database, "SELECT name FROM dolt_branches"),
        query(database, "SELECT table_name, staged, status FROM dolt_status ORDER BY 1, 2"),
    ]


class Upper(types.TypeDecorator):  # type: ignore[type-arg]
    """A type that stores another value than it is given."""

    impl = types.VARCHAR(10)
    cache_ok = True


@pytest.mark.parametrize(
    ("first", "second", "args", "words"),
    [
        (FLOATS, FLOATS.assign(id=[1.5, 1.5, 2]), {}, "is not unique: 1.5 in row 1"),
        (FLOATS, FLOATS.assign(id=[0.0, -0.0, 2]), {}, "is not unique: -0.0 in row 1"),
        (FLOATS, FLOATS.assign(id=[1.5, None, 2]), {}, "must have a value in every row"),
        (TIMED, TIMED.assign(id=[1, 1, 2]), {}, "is not unique: 1 in row 1"),
        (TIMED, TIMED.assign(z=[1, np.inf, 2]), {}, "inf in row 1 exactly"),
        (TIMED, TIMED.assign(x=[1, np.inf, 2]), {}, "inf in row 1 exactly"),
        (
            GOOD,
            GOOD.assign(id=[1, 1, 2]).set_index("id"),
            {"save_args": {"index": True}},
            "is not unique: 1 in row 1",
        ),
        (GOOD, GOOD.assign(X=1), {}, "'X' and 'x', which are one name in SQL"),
        (GOOD, pd.concat([GOOD, GOOD[["x"]]], axis=1), {}, "has the column 'x' twice"),
        (GOOD, GOOD.rename(columns={"x": "x" * 65}), {}, "has 65 characters, and SQL allows 64"),
        (GOOD, GOOD.rename(columns={"x": "a`b"}), {}, "a line break or a backtick"),
        (
            GOOD,
            GOOD.assign(m="a"),
            {"save_args": {"dtype": dict.fromkeys("nm", types.VARCHAR(9000))}},
            "cannot be created.*expected size < 65504",
        ),
        (
            GOOD,
            pd.DataFrame(0.0, index=range(2), columns=["id", *(f"c{n}" for n in range(4999))]),
            {},
            "has 5000 columns, and a table has 1 to 4096",
        ),
        (GOOD, GOOD[[]], {}, "has 0 columns"),
        (GOOD, GOOD.assign(x=[[1], [2], [3]]), {}, "cannot hold"),
        (GOOD, GOOD.assign(x=[1j, 2, 3]), {}, "Complex"),
        (TIMED, TIMED.assign(x=np.array([1, 2, 2**63 + 1], "uint64")), {}, "[Uu]nsigned 64"),
        (GOOD, GOOD, {"save_args": {"dtype": {"n": Upper}}}, "has the type Upper"),
        (GOOD, GOOD, {"save_args": {"dtype": {"n": types.JSON}}}, "which a bulk load does not fill"),
        (GOOD, GOOD.assign(id=["a", "b", "c"]), {"save_args": {"dtype": {"id": types.TEXT}}}, "primary key"),
        (
            GOOD,
            GOOD.assign(id=[Decimal("1.5"), Decimal("1.50"), Decimal(2)]),
            {"save_args": {"dtype": {"id": types.DECIMAL(10, 2)}}},
            "duplicate primary key",
        ),
    ],
)
def test_what_is_refused_leaves_the_table(
    database: Database,
    first: pd.DataFrame,
    second: pd.DataFrame,
    args: dict[str, Any],
    words: str,
) -> None:
    query(database, "DROP TABLE IF EXISTS t")
    ours(database, "id").save(first)
    before = state(database)
    with pytest.raises(DatasetError, match=words):
        ours(database, "id", **args).save(second)
    assert state(database) == before
    query(database, "DROP TABLE t")
    with pytest.raises(DatasetError, match=words):
        ours(database, "id", **args).save(second)
    assert "t" not in names(database, "SHOW TABLES")


@pytest.mark.thorough
def test_short_text_makes_room_for_many_other_columns(database: Database) -> None:
    texts = {f"t{number}": ["a", "b"] for number in range(40)}
    frame = pd.DataFrame({"id": [1, 2], **texts, **{f"d{number}": [1.0, 2.0] for number in range(4000)}})
    query(database, "DROP TABLE IF EXISTS t")
    ours(database, "id").save(frame)
    same(ours(database, "id").load(), frame)


def test_views_and_unknown_arguments(database: Database) -> None:
    ours(database, "id").save(GOOD)
    query(database, "CREATE OR REPLACE VIEW looks AS SELECT * FROM t")
    with pytest.raises(DatasetError, match="is a view, to which nothing can be saved"):
        ours(database, "id", table="looks").save(GOOD)
    for args in ({"if_exists": "delete_rows"}, {"schema": "data"}):
        with pytest.raises(ConfigError, match="in its save_args"):
            ours(database, "id", save_args=args)
    query(database, "DROP VIEW looks")


def test_a_name_in_other_letters_is_the_same_table(database: Database) -> None:
    query(database, "DROP TABLE IF EXISTS t")
    ours(database, "id").save(GOOD)
    for frame in (GOOD.head(2), GOOD.assign(more=1)):
        ours(database, "id", table="T").save(frame)
        same(stock(database).load(), frame)
    assert "T" not in names(database, "SHOW TABLES")


@pytest.mark.parametrize("frame", [GOOD, TIMED, FLOATS])
def test_nobody_sees_the_table_missing_or_empty(
    database: Database,
    frame: pd.DataFrame,
) -> None:
    dataset = ours(database, "id")
    dataset.save(frame)
    seen, done = set(), threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                seen.add(query(database, "SELECT COUNT(*) FROM t")[0][0])
            except Exception as error:
                seen.add(repr(error))

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for number in range(4):
            dataset.save(frame.assign(**{f"new{number}": number}).head(3 - number % 2))
            dataset.save(frame.assign(x=7.0 + number))
    finally:
        done.set()
        looker.join()
    assert seen <= {2, 3}
    same(stock(database).load(), stock(database).load().assign(x=10.0))


def test_a_table_that_is_replaced_is_what_a_full_save_makes(database: Database) -> None:
    stock(database, "id").save(GOOD)
    query(database, "CALL DOLT_COMMIT('-A', '--allow-empty', '-m', 'before')")
    new = GOOD.assign(y=[1, 2, 3], n=["a", "b", "d"])
    ours(database, "id").save(new)
    written = hash_of(database)
    summary = "SELECT from_table_name, to_table_name, diff_type FROM dolt_diff_summary('HEAD', 'WORKING')"
    assert query(database, summary) == [("t", "t", "modified")]
    assert query(database, "SELECT COUNT(*) FROM dolt_diff('HEAD', 'WORKING', 't')") == [(3,)]
    stock(database, "id").save(new)
    assert written == hash_of(database)


def test_what_others_have_staged_and_not_staged_stays_so(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours(database, "id").save(GOOD)
    query(database, "CALL DOLT_COMMIT('-A', '--allow-empty', '-m', 'before')")
    for table in ("staged", "unstaged"):
        query(database, f"CREATE TABLE {table} (id INT PRIMARY KEY)")
    query(database, "CALL DOLT_ADD('staged')")
    tables = names(database, "SHOW TABLES")
    load_new_table = table_build.load_new_table

    def load(*args: Any) -> None:
        # What is being built is nowhere in the working set.
        assert names(database, "SHOW TABLES") == tables
        assert names(database, "SELECT table_name FROM dolt_status") == ["staged", "unstaged"]
        load_new_table(*args)

    monkeypatch.setattr(table_build, "load_new_table", load)
    ours(database, "id").save(GOOD.assign(y=1))
    assert sorted(query(database, "SELECT table_name, staged FROM dolt_status")) == [
        ("staged", 1),
        ("t", 0),
        ("unstaged", 0),
    ]
    for table in ("staged", "unstaged"):
        query(database, f"DROP TABLE {table}")


def test_a_table_that_somebody_else_changes_each_time_stays_as_they_have_it(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query(database, "DROP TABLE IF EXISTS t")
    ours(database, "id").save(GOOD)
    load_new_table = table_build.load_new_table

    def load(*args: Any) -> None:
        query(database, "UPDATE t SET x = x + 1")
        load_new_table(*args)

    monkeypatch.setattr(table_build, "load_new_table", load)
    with pytest.raises(DatasetError, match="was changed by somebody else at the same moment"):
        ours(database, "id").save(GOOD.assign(y=1))
    same(stock(database).load(), GOOD.assign(x=[4.0, 5.0, 6.0]))
    assert not [name for name in names(database, "SELECT name FROM dolt_branches") if "building" in name]


@pytest.mark.parametrize("changes", [{"x": 5.0}, {"y": 1}])
@pytest.mark.parametrize("edit", ["INSERT INTO t (id) VALUES (9)", "UPDATE t SET n = 'z'"])
def test_an_edit_that_is_committed_at_the_same_moment_is_not_mixed_in(
    database: Database, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], edit: str
) -> None:
    query(database, "DROP TABLE IF EXISTS t")
    ours(database, "id").save(GOOD)
    edits = iter([edit])

    def look(cursor: Any, table: str) -> str | None:
        found = content_hash(cursor, table)
        if "building" not in branch(cursor):
            for statement in edits:
                query(database, statement)
        return found

    def branch(cursor: Any) -> str:
        cursor.execute("SELECT DATABASE()")
        return str(cursor.fetchone()[0])

    content_hash = table_build.content_hash
    monkeypatch.setattr(table_build, "content_hash", look)
    monkeypatch.setattr(table_write, "content_hash", look)
    ours(database, "id").save(GOOD.assign(**changes))
    same(stock(database).load(), GOOD.assign(**changes))


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Database]:
    """A database whose server the test kills."""
    initialise(tmp_path / "data", [])
    found = Database(tmp_path, Settings())
    yield found
    found.close()


@pytest.mark.parametrize("step", ["load_new_table", "content_hash"])
def test_a_server_killed_in_a_save_leaves_the_table(
    killed: Database, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ours(killed, "id").save(GOOD)
    before = hash_of(killed)

    def kill(*_: Any) -> None:
        assert address.pid
        os.kill(address.pid, signal.SIGKILL)
        # It may go on answering for a moment.
        while is_served():
            pass
        raise ConnectionError("killed")

    def is_served() -> bool:
        try:
            address.connect(None).close()
        except pymysql.err.Error:
            return False
        return True

    address = killed.get_address()
    with monkeypatch.context() as patch:
        patch.setattr(table_build, step, kill)
        with pytest.raises(DatasetError):
            ours(killed, "id").save(GOOD.assign(y=1))
    killed.close()
    assert hash_of(killed) == before
    with killed.serving() as repository:
        assert [name for name in repository.branches() if name.startswith("kedro/building/")]
        discard_unfinished(repository)
        assert repository.branches() == {"main"}


def test_a_branch_on_which_somebody_builds_is_not_discarded(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query(database, "DROP TABLE IF EXISTS t")
    load_new_table, looks = table_build.load_new_table, []

    def load(*args: Any) -> None:
        with database.serving() as repository:
            discard_unfinished(repository)
            looks.append(len(repository.branches()))
        load_new_table(*args)

    monkeypatch.setattr(table_build, "load_new_table", load)
    ours(database, "id").save(GOOD)
    assert looks == [2]
    same(stock(database).load(), GOOD)


# What a save does depends on the frame and on the table, and on nothing else


def unreadable(*_: Any) -> Any:
    raise pa.ArrowInvalid("a value that Arrow cannot hold")


@given(pairs())
@settings(relaxed, max_examples=25 * EXAMPLES)
def test_warm_cold_and_unreadable_saves_leave_the_same(
    database: Database,
    cache_home: Path,
    pair: tuple[list[str], pd.DataFrame, pd.DataFrame],
) -> None:
    key, old, new = pair
    left = []
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore", UserWarning)  # of pandas, about timedelta
        for how in ("warm", "cold", "unreadable"):
            query(database, "DROP TABLE IF EXISTS t")
            ours(database, *key).save(old)
            if how != "warm":
                empty(cache_home)
            if how == "unreadable":
                patch.setattr(table_read, "read_rows", unreadable)
            ours(database, *key).save(new)
            left.append((hash_of(database), query(database, "SHOW CREATE TABLE t")))
    assert left[0] == left[1] == left[2]


@pytest.mark.thorough
def test_the_largest_numbers_of_single_precision(database: Database, cache_home: Path) -> None:
    query(database, "DROP TABLE IF EXISTS t")
    limits = np.finfo(np.float32)
    numbers = np.array([limits.max, limits.min, limits.tiny], np.float32)
    dataset = ours(database, "id")
    for values in (numbers, -numbers):
        dataset.save(pd.DataFrame({"id": range(3), "x": values}))
        assert (dataset.load()["x"].to_numpy().astype(np.float32) == values).all()


def test_years_below_1000(database: Database, cache_home: Path) -> None:
    query(database, "DROP TABLE IF EXISTS t")
    days = [dt.date(1, 1, 1), dt.date(999, 12, 31), None, dt.date(2020, 1, 2)]
    moments = [dt.datetime(1, 1, 1), dt.datetime(20, 3, 4, 5, 6, 7, 890), dt.datetime(1000, 1, 1), None]
    frame = pd.DataFrame(
        {
            "id": range(4),
            "n": "a",
            "day": pd.Series(days, dtype=object),
            "at": pd.Series(moments, dtype=object),
        }
    )
    dataset = ours(database, "id")
    dataset.save(frame)
    before, columns = hash_of(database), columns_of(database)
    assert [column[1] for column in columns] == ["bigint", "varchar(255)", "date", "datetime(6)"]
    empty(cache_home)
    same(dataset.load(), stock(database).load())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyed_table, "write_rows", None)
        for warm in (True, False):
            if not warm:
                empty(cache_home)
            dataset.save(frame)
    assert (hash_of(database), columns_of(database)) == (before, columns)
    dataset.save(frame.assign(n="b"))
    assert columns_of(database) == columns


# Appending, and indexes


def test_appending(database: Database) -> None:
    query(database, "DROP TABLE IF EXISTS t")
    append = ours(database, "id", save_args={"if_exists": "append"})
    with pytest.raises(DatasetError, match="is not unique"):
        append.save(GOOD.assign(id=1))
    assert "t" not in names(database, "SHOW TABLES")
    append.save(GOOD)
    append.save(GOOD.assign(id=[4, 5, 6], n="x" * 300))
    assert append.load()["id"].tolist() == [1, 2, 3, 4, 5, 6]
    before = hash_of(database)
    with pytest.raises(DatasetError, match="with these keys already"):
        append.save(GOOD.assign(id=[7, 8, 6]))
    assert hash_of(database) == before
    with pytest.raises(DatasetError, match="is there already"):
        ours(database, "id", save_args={"if_exists": "fail"}).save(GOOD)
    assert hash_of(database) == before
    query(database, "DROP TABLE t")
    ours(database, "id", save_args={"if_exists": "fail"}).save(GOOD)
    same(stock(database).load(), GOOD)


@pytest.mark.parametrize("kind", [ours, stock])
def test_the_index_of_an_index_column_is_kept(database: Database, kind: Any) -> None:
    frame = GOOD.drop(columns="n").assign(day=[5, 6, 7]).set_index(["id", "day"])
    for rows in (frame, frame.head(0)):
        query(database, "DROP TABLE IF EXISTS t")
        stock(database, index=True).save(frame)
        assert "KEY `ix_t_day` (`day`)" in query(database, "SHOW CREATE TABLE t")[0][1]
        args = {"save_args": {"index": True}} if kind is ours else {"index": True}
        kind(database, "id", **args).save(rows)
        if len(rows) or kind is ours:
            definition = query(database, "SHOW CREATE TABLE t")[0][1]
            assert "PRIMARY KEY (`id`)" in definition and "KEY `ix_t_day` (`day`)" in definition
        assert len(stock(database).load()) == len(rows)


# A table that a foreign key refers to

SHOPS = pd.DataFrame({"id": [1, 2, 3], "name": ["a", "b", "c"]})


@pytest.fixture
def shops(database: Database, request: pytest.FixtureRequest) -> Iterator[pd.DataFrame]:
    """What stands in the table `shops`, to whose rows 1 and 2 the table `sales` refers."""
    frame = SHOPS.assign(opens=TIMES) if getattr(request, "param", "") == "times" else SHOPS
    ours(database, "id", table="shops").save(frame)
    ours(database, "id", table="sales").save(pd.DataFrame({"id": [10, 11], "shop": [1, 2]}))
    query(
        database,
        "ALTER TABLE sales ADD CONSTRAINT of_shop FOREIGN KEY (shop) REFERENCES shops(id) ON DELETE CASCADE",
    )
    yield frame
    for table in ("sales", "shops"):
        query(database, f"DROP TABLE {table}")


@pytest.mark.parametrize("shops", ["plain", "times"], indirect=True)
@pytest.mark.parametrize("is_warm", [True, False])
def test_a_table_that_is_referred_to_stays_in_place(
    database: Database,
    shops: pd.DataFrame,
    is_warm: bool,
    cache_home: Path,
) -> None:
    dataset = ours(database, "id", table="shops")
    definition = query(database, "SHOW CREATE TABLE sales")
    more = pd.concat([shops, shops.head(1).assign(id=4)], ignore_index=True)
    for frame in (shops.assign(name=["x", "y", None]), more.assign(name="all"), shops, shops.drop(2)):
        if not is_warm:
            empty(cache_home)
        dataset.save(frame)
        same(stock(database, table="shops").load(), frame.reset_index(drop=True))
        # Nothing was removed that anything refers to, so nothing is passed on.
        assert query(database, "SELECT id, shop FROM sales ORDER BY id") == [(10, 1), (11, 2)]
    assert query(database, "SHOW CREATE TABLE sales") == definition
    dataset.save(shops.drop(0))
    assert query(database, "SELECT id, shop FROM sales") == [(11, 2)]


@pytest.mark.parametrize("shops", ["plain", "times"], indirect=True)
def test_rows_that_are_referred_to_are_not_removed(database: Database, shops: pd.DataFrame) -> None:
    query(database, "ALTER TABLE sales DROP FOREIGN KEY of_shop")
    query(database, "ALTER TABLE sales ADD CONSTRAINT of_shop FOREIGN KEY (shop) REFERENCES shops(id)")
    before = hash_of(database, "shops"), hash_of(database, "sales")
    with pytest.raises(DatasetError, match="`of_shop` of `sales` refers to the table: save what refers"):
        ours(database, "id", table="shops").save(shops.drop(0))
    with pytest.raises(DatasetError, match=r"(?s)cannot be replaced.*of_shop.*`name` is varchar.*not double"):
        ours(database, "id", table="shops").save(shops.assign(name=1.5))
    with pytest.raises(DatasetError, match=r"(?s)cannot be replaced.*`city` is missing"):
        ours(database, "id", table="shops").save(shops.assign(city="x"))
    assert (hash_of(database, "shops"), hash_of(database, "sales")) == before


def test_the_stock_route_names_the_way_out(database: Database, shops: pd.DataFrame) -> None:
    before = hash_of(database, "shops")
    for key in ((), ("id",)):
        with pytest.raises(DatasetError, match=r"(?s)foreign key `of_shop`.*DoltTableDataset"):
            stock(database, *key, table="shops").save(shops)
    assert hash_of(database, "shops") == before
