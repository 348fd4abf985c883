"""The journal as it is read. It may be a stranger's: each row is checked, and nothing unbounded is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pymysql.err import Error

from .. import __version__
from ..dolt import answers
from ..dolt.as_of import columns_at, views
from ..dolt.names import CHECKS, LINEAGE, NODES, RUNS
from ..terminal import get_logger
from .store import (
    COMPUTED,
    JSON_COLUMNS,
    NODE_COLUMNS,
    OFFENDING,
    CheckResult,
    Edge,
    Execution,
    Run,
    columns_of,
    newer_format,
    not_a_journal,
)

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

logger = get_logger(__name__)

_Row = TypeVar("_Row")

# Of a column in bytes, of a journal in rows and bytes, and how deep parameters are nested.
LONGEST_JSON = 1 << 20
LONGEST_TEXT = 1 << 16
MOST_ROWS = 100_000
MOST_EXECUTIONS = 2_000
MOST_BYTES = 256 << 20
DEEPEST = 100
_ATTEMPTS = 3
_LONGEST_ID = 255
# Runs that are read one by one where the others are known.
_MOST_NEW = 50

_TIMES = ("started", "finished")
_warned: set[str] = set()


class _Unreadable(ValueError):
    """Why a row cannot be understood."""


def runs(cursor: Cursor, ref: str | None = None, run_id: str | None = None) -> list[Run]:
    """Return the runs in the journal, the oldest first.

    Args:
        cursor: a cursor on any branch.
        ref: the commit or branch to read; None is the cursor's own.
        run_id: only this one.

    Returns:
        Nothing where there is no journal. What an older journal lacks is None. Rows that cannot be understood
        are left out, and a warning names them.

    Raises:
        DoltError: something else has the journal's name.
    """
    where = ("run_id = %s", [run_id]) if run_id else ("TRUE", [])
    found = _read(cursor, RUNS, ref, *where, order="started DESC, run_id DESC", make=_run)
    return sorted(found, key=_by_start)


def runs_beside(cursor: Cursor, known: Mapping[str, Run], ref: str | None = None) -> list[Run]:
    """Return what :func:`runs` does, and read only the runs that are not in ``known``: branches share most.

    Args:
        cursor: a cursor on any branch.
        known: runs that have been read on another branch, by their ids.
        ref: the commit or branch to read; None is the cursor's own.

    Raises:
        DoltError: something else has the journal's name.
    """
    is_view = RUNS in {name.lower() for name in views(cursor)}
    if not known or is_view or "run_id" not in columns_at(cursor, RUNS, ref):
        return runs(cursor, ref)
    source = f"FROM {RUNS}{' AS OF %s' if ref else ''} LIMIT {MOST_ROWS}"
    _execute(cursor, f"SELECT LEFT(run_id, {_LONGEST_ID + 1}) {source}", [ref] if ref else [])
    here = {str(run_id) for (run_id,) in cursor.fetchall()}
    new = sorted(here - known.keys())
    # A long list is slower than the whole table, and of an odd row the whole reading says what it is.
    if len(new) > _MOST_NEW or any(len(run_id) > _LONGEST_ID for run_id in new):
        return runs(cursor, ref)
    found = [known[run_id] for run_id in here & known.keys()]
    if new:
        where = f"run_id IN ({', '.join(['%s'] * len(new))})"
        found += _read(cursor, RUNS, ref, where, new, order="started DESC, run_id DESC", make=_run)
    return sorted(found, key=_by_start)


def _by_start(run: Run) -> tuple[datetime, str]:
    return run.started or datetime.min, run.run_id


def has_run(cursor: Cursor, run_id: str) -> bool:
    """Return whether the journal on the cursor's branch has a row of a run, even an unreadable one.

    Raises:
        DoltError: something else has the journal's name.
    """
    if not _there(cursor, RUNS, None):
        return False
    cursor.execute(f"SELECT 1 FROM {RUNS} WHERE run_id = %s LIMIT 1", (run_id,))
    return cursor.fetchone() is not None


def edges(cursor: Cursor, run_id: str, ref: str | None = None) -> list[Edge]:
    """Return what the nodes of a run loaded and saved, read as :func:`runs` does."""
    order = "node, direction, dataset"
    return _read(cursor, LINEAGE, ref, "run_id = %s", [run_id], order=order, make=_edge)


def checks(cursor: Cursor, run_id: str, ref: str | None = None) -> list[CheckResult]:
    """Return what the checks of a run have found, read as :func:`runs` does."""
    order = "table_name, check_name"
    return _read(cursor, CHECKS, ref, "run_id = %s", [run_id], order=order, make=_check)


def executions(cursor: Cursor, run_id: str, ref: str | None = None) -> list[Execution]:
    """Return what became of the nodes of a run, read as :func:`runs` does; nothing in older journals."""
    return _read(cursor, NODES, ref, "run_id = %s", [run_id], order="node", make=_execution)


def executions_of(
    cursor: Cursor, column: str, values: Iterable[str], ref: str | None = None
) -> list[tuple[str, Execution]]:
    """Return the ids of runs and the nodes that they computed or took, the last run first.

    Args:
        cursor: a cursor on any branch.
        column: ``node`` or ``recipe``.
        values: which nodes, or which recipes.
        ref: the commit or branch to read; None is the cursor's own.
    """
    names = list(values)
    if not names:
        return []
    condition = f"{column} IN ({', '.join(['%s'] * len(names))}) AND execution NOT IN ('skipped', 'failed')"
    return _read(
        cursor, NODES, ref, condition, names,
        order="run_id DESC", most=MOST_EXECUTIONS,
        make=lambda row: (_text(row["run_id"], "run_id"), _execution(row)),
    )  # fmt: skip


def failed_nodes(cursor: Cursor, run_ids: Collection[str], ref: str | None = None) -> dict[str, list[str]]:
    """Return the names of the nodes that failed in each of the runs, by the runs' ids."""
    condition = f"run_id IN ({', '.join(['%s'] * len(run_ids))}) AND execution = 'failed'"
    pairs = _read(
        cursor, NODES, ref, condition, list(run_ids), order="run_id, node",
        make=lambda row: (_text(row["run_id"], "run_id"), _execution(row).node),
    )  # fmt: skip
    found: dict[str, list[str]] = {}
    for run_id, node in pairs:
        found.setdefault(run_id, []).append(node)
    return found


def noted_checks(cursor: Cursor, run_ids: Collection[str], ref: str | None = None) -> dict[str, set[str]]:
    """Return which of the runs have warnings or accepted failures, and which of the two, by their ids."""
    condition = (
        f"run_id IN ({', '.join(['%s'] * len(run_ids))}) "
        "AND (status = 'accepted' OR (status = 'failed' AND severity = 'warn'))"
    )
    pairs = _read(
        cursor, CHECKS, ref, condition, list(run_ids), order="run_id DESC",
        make=lambda row: (_text(row["run_id"], "run_id"), _check(row)),
    )  # fmt: skip
    found: dict[str, set[str]] = {}
    for run_id, result in pairs:
        found.setdefault(run_id, set()).add("accepted" if result.status == "accepted" else "warning")
    return found


def passed_before(cursor: Cursor, table: str, check: str, bound: str, content_hash: str) -> str | None:
    """Return the last run on the cursor's branch of which a check has passed on the same content."""
    found = _read(
        cursor, CHECKS, None,
        "status = 'passed' AND table_name = %s AND check_name = %s AND bound = %s AND content_hash = %s",
        [table, check, bound, content_hash],
        order="run_id DESC", make=lambda row: _text(row["run_id"], "run_id"),
    )  # fmt: skip
    return max(found, default=None)


def savers(cursor: Cursor, dataset: str, ref: str | None = None) -> list[tuple[str, Edge]]:
    """Return the ids of the runs that saved a dataset, given its name or its table's, and what they saved."""
    return _read(
        cursor, LINEAGE, ref, "direction = 'save' AND (dataset = %s OR table_name = %s)", [dataset, dataset],
        order="run_id DESC", make=lambda row: (_text(row["run_id"], "run_id"), _edge(row)),
    )  # fmt: skip


def loaders(cursor: Cursor, dataset: str, ref: str | None = None) -> list[tuple[str, Edge]]:
    """Return the ids of the runs that loaded a dataset, given its name, and what they loaded."""
    return _read(
        cursor, LINEAGE, ref, "direction = 'load' AND dataset = %s", [dataset],
        order="run_id DESC", make=lambda row: (_text(row["run_id"], "run_id"), _edge(row)),
    )  # fmt: skip


def saved_tables(
    cursor: Cursor, tables: Iterable[str], run_ids: Collection[str], ref: str | None = None
) -> dict[str, set[str]]:
    """Return which of ``tables``, in lower case, the runs have saved, by the runs' ids."""
    names = [table.lower() for table in tables]
    found: dict[str, set[str]] = {}
    if names:
        condition = (
            f"run_id IN ({', '.join(['%s'] * len(run_ids))}) "
            f"AND direction = 'save' AND LOWER(table_name) IN ({', '.join(['%s'] * len(names))})"
        )
        pairs = _read(
            cursor, LINEAGE, ref, condition, [*run_ids, *names], order="run_id DESC",
            make=lambda row: (_text(row["run_id"], "run_id"), _edge(row).table_name),
        )  # fmt: skip
        for run_id, table in pairs:
            found.setdefault(run_id, set()).add(str(table).lower())
    return found


def _read(
    cursor: Cursor, table: str, ref: str | None, where: str, values: list[str], *, order: str,
    make: Callable[[dict[str, Any]], _Row], most: int | None = None,
) -> list[_Row]:  # fmt: skip
    there = _there(cursor, table, ref)
    if not there:
        return []
    keys, known = columns_of(table)
    names = [name for name in known if name in there]
    long = (*JSON_COLUMNS, *NODE_COLUMNS, OFFENDING)
    limits = {name: LONGEST_JSON if name in long else LONGEST_TEXT for name in names}
    short = " AND ".join(f"COALESCE(LENGTH({name}), 0) <= {limit}" for name, limit in limits.items())
    source = f"FROM {table}{' AS OF %s' if ref else ''} WHERE {where}"
    values = [*([ref] if ref else []), *values]
    # A journal of an older version may lack what it is sorted by.
    order = ", ".join(part for part in order.split(", ") if part.partition(" ")[0] in names)
    size = " + ".join(f"COALESCE(LENGTH({name}), 0)" for name in names)
    sums = f"COUNT(*), SUM(IF({short}, {size}, 0)), SUM(IF({short}, 0, 1))"
    _execute(cursor, f"SELECT {sums} {source}", values)
    count, total, too_long = (int(value or 0) for value in cursor.fetchone() or (0, 0, 0))
    limit = count
    if (count > MOST_ROWS and most is None) or total > MOST_BYTES:
        limit = _fitting(
            cursor, f"SELECT {size} {source} AND {short} ORDER BY {order} LIMIT {MOST_ROWS}", values
        )
        _warn("%s is too large to be read whole: only %d of its %d rows are.", table, limit, count)
    limit = limit if most is None else min(limit, most)
    unread: list[str] = []
    if too_long:
        _execute(
            cursor, f"SELECT LEFT(CAST({keys[0]} AS CHAR), 80) {source} AND NOT ({short}) LIMIT 3", values
        )
        unread += [f"{row[0]} (too long)" for row in cursor.fetchall()]
    _execute(cursor, f"SELECT {', '.join(names)} {source} AND {short} ORDER BY {order} LIMIT {limit}", values)
    found = []
    broken = 0
    for row in cursor.fetchall():
        named = dict(zip(names, row, strict=True))
        try:
            found.append(make(named))
        except _Unreadable as error:
            broken += 1
            unread.append(f"{str(named[keys[0]])[:80]} ({error})")
    if unread:
        examples = ", ".join(unread[:3])
        _warn("%d rows of %s cannot be understood and are left out: %s.", too_long + broken, table, examples)
    return found


def _there(cursor: Cursor, table: str, ref: str | None) -> Collection[str]:
    """Return the columns that a table of the journal has; none where it is not there."""
    # Nothing is ever selected from a view, whose query may be anybody's.
    if table in {name.lower() for name in views(cursor)}:
        raise not_a_journal(table, "it is a view")
    there = columns_at(cursor, table, ref)
    if there and (missing := [name for name in columns_of(table)[0] if name not in there]):
        raise not_a_journal(table, f"it has no column {missing[0]}")
    if needed := newer_format(there):
        _warn(
            "kedro-doltdb %s has changed the format of the journal here, and this version, %s, may misread "
            "it: `pip install 'kedro-doltdb>=%s'`.", needed, __version__, needed,
        )  # fmt: skip
    return there


def _execute(cursor: Cursor, statement: str, values: list[str]) -> None:
    """Run a query, again if Dolt could not read on, as has been seen once: the next time it could."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            cursor.execute(statement, values)
            return
        except Error as error:
            if attempt == _ATTEMPTS or not answers.is_interrupted(error):
                raise


def _fitting(cursor: Cursor, statement: str, values: list[str]) -> int:
    """Return how many rows, whose sizes ``statement`` gives, are together not too large."""
    cursor.execute(statement, values)
    total = 0
    for number, (size,) in enumerate(cursor.fetchall()):
        total += int(size)
        if total > MOST_BYTES:
            return number
    return cursor.rowcount


def _warn(message: str, *values: object) -> None:
    # Each branch has the rows of those before it.
    if (text := message % values) not in _warned:
        _warned.add(text)
        logger.warning(message, *values)


def _run(row: dict[str, Any]) -> Run:
    _, known = columns_of(RUNS)
    values = {name: value for name, value in row.items() if name in known and value is not None}
    for name, value in values.items():
        if name in JSON_COLUMNS:
            values[name] = _mapping(value, name)
        elif name not in _TIMES:
            values[name] = _text(value, name)
            if name == "base":
                _check_commit(value, name)
        elif not isinstance(value, datetime):
            raise _Unreadable(f"{name} is not a time")
    if not values.get("run_id"):
        raise _Unreadable("it has no run_id")
    return Run.from_columns(values)


def _edge(row: dict[str, Any]) -> Edge:
    known = [f.name for f in fields(Edge)]
    values: dict[str, Any] = {
        name: None if row[name] is None else _text(row[name], name) for name in known if name in row
    }
    if not values["node"] or not values["dataset"] or values["direction"] not in ("load", "save"):
        raise _Unreadable("it names no node, dataset and direction")
    if values.get("read_at") is not None:
        _check_commit(values["read_at"], "read_at")
    return Edge(**values)


def _execution(row: dict[str, Any]) -> Execution:
    texts = ("node", "execution", "computed_by", "recipe", "inputs", "outputs", "untold")
    values: dict[str, Any] = {
        name: None if row[name] is None else _text(row[name], name) for name in texts if name in row
    }
    for name in NODE_COLUMNS:
        values[name] = _mapping(row[name], name) if row.get(name) is not None else {}
        if not all(isinstance(value, str) for value in values[name].values()):
            raise _Unreadable(f"{name} holds what is not text")
    seconds = row.get("seconds")
    if not values["node"] or not (seconds is None or isinstance(seconds, float)):
        raise _Unreadable("it names no node, or its seconds are no number")
    return Execution(**{**values, "execution": values.get("execution") or COMPUTED}, seconds=seconds)


def _check_commit(value: str, name: str) -> None:
    if not re.fullmatch("[0-9a-v]{32}", value):
        raise _Unreadable(f"{name} is not a commit")


def _check(row: dict[str, Any]) -> CheckResult:
    known = [f.name for f in fields(CheckResult) if f.name in row and f.name != OFFENDING]
    values: dict[str, Any] = {name: _text(row[name], name) for name in known if row[name] is not None}
    if not {"table_name", "check_name", "severity", "status"} <= set(values):
        raise _Unreadable("it names no table, check, severity and status")
    return CheckResult(**values, offending=_rows(row.get(OFFENDING)))


def _rows(text: Any) -> tuple[dict[str, Any], ...]:
    # The rows stand in a mapping for the sake of one check of the depth.
    rows = _mapping(f'{{"{OFFENDING}": {text or "[]"}}}', OFFENDING)[OFFENDING]
    if not isinstance(rows, list) or not all(isinstance(item, dict) for item in rows):
        raise _Unreadable(f"{OFFENDING} is not a list of rows")
    return tuple(rows)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _Unreadable(f"{name} is not text")
    return value


def _mapping(text: Any, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise _Unreadable(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise _Unreadable(f"{name} is not a mapping")
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [inner for item in level if isinstance(item, dict | list) for inner in _inside(item)]
        if not level:
            return value
    raise _Unreadable(f"{name} is nested too deep")


def _inside(item: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return item.values() if isinstance(item, dict) else item
