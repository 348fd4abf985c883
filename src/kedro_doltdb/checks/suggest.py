"""Checks that would have held of the last runs, with room to spare."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..dolt.as_of import columns_at
from ..dolt.sql import identifier
from ..journal.history import entries_on
from ..journal.metrics import metrics_at
from .tables import NOW, counted, rows_at

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from ..dolt.repository import Repository, TableChange
    from ..journal.history import Entry

# A column of few texts, in a table of some rows, is one of categories.
_MOST_VALUES = 12
_LONGEST_VALUE = 60
_FEWEST_ROWS = 30
_ROOM = 1.5


def suggested(
    repository: Repository, branch: str, metrics: Iterable[str], runs: int
) -> tuple[dict[str, Any], int]:
    """Propose the section ``checks``.

    Args:
        repository: where the runs are.
        branch: whose runs count.
        metrics: the tables that hold metrics.
        runs: how many of the last ones.

    Returns:
        The checks by table, and of how many runs they are.
    """
    entries = entries_on(repository, branch)[-runs:]
    if not entries:
        return {}, 0
    changes = repository.changes_of((entry.parent, entry.commit) for entry in entries)
    with repository.on(branch) as cursor:
        cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
        tables = [row[0] for row in cursor.fetchall()]
        names = [name for name in tables if not name.startswith(("kedro_", "dolt_"))]
        section: dict[str, Any] = {}
        for table in sorted(names):
            checks = _of_change(cursor, table, entries, changes)
            if table in set(metrics):
                checks |= _of_metrics(cursor, table, entries)
            else:
                checks |= _of_state(cursor, table)
            if checks:
                section[table] = checks
    return section, len(entries)


def _of_change(
    cursor: Cursor, table: str, entries: Sequence[Entry], changes: Sequence[Sequence[TableChange]]
) -> dict[str, Any]:
    shares, only_added, seen = [], True, False
    for entry, changed in zip(entries, changes, strict=True):
        if not columns_at(cursor, table, entry.parent):
            continue
        seen = True
        change = next((change for change in changed if change.table == table), None)
        if change is None:
            continue
        before = rows_at(cursor, table, entry.parent)
        only_added = only_added and not change.removed and not change.modified
        if before:
            shares.append((change.added + change.removed + change.modified) / before)
    if not seen:
        return {"frozen_schema": True}
    if not shares:
        return {"unchanged": True}
    checks: dict[str, Any] = {"frozen_schema": True}
    if only_added:
        checks["append_only"] = True
    percent = math.ceil(max(shares) * _ROOM * 100)
    if 0 < percent < 100:
        checks["max_rows_changed"] = f"{percent}%"
    return checks


def _of_metrics(cursor: Cursor, table: str, entries: Sequence[Entry]) -> dict[str, Any]:
    found = metrics_at(cursor, [(entry.commit, [table]) for entry in entries])
    bounds = {}
    for name in found[-1]:
        values = [metrics[name] for metrics in found if name in metrics]
        steps = [abs(new - old) for old, new in itertools.pairwise(values)]
        if steps and (widest := max(steps)) > 0:
            bounds[name] = float(f"{widest * _ROOM:.2g}")
    return {"max_change": bounds} if bounds else {}


def _of_state(cursor: Cursor, table: str) -> dict[str, Any]:
    cursor.execute(f"SHOW COLUMNS FROM {identifier(table)}", ())
    columns = [(row[0], str(row[1]), row[2] == "YES", row[3] == "PRI") for row in cursor.fetchall()]
    filled, ranges, values = [], {}, {}
    number = rows_at(cursor, table, NOW)
    for name, kind, may_be_null, is_key in columns:
        if is_key or not number:
            continue
        column = identifier(name)
        if may_be_null and not counted(cursor, f"FROM {identifier(table)} WHERE {column} IS NULL"):
            filled.append(name)
        if kind.startswith(("int", "bigint", "smallint", "double", "float", "decimal")):
            cursor.execute(f"SELECT MIN({column}), MAX({column}) FROM {identifier(table)}", ())
            low, high = cursor.fetchone() or (None, None)
            if low is not None:
                ranges[name] = _with_room(low, high)
        elif ("char" in kind or "text" in kind) and number >= _FEWEST_ROWS:
            cursor.execute(
                f"SELECT DISTINCT {column} FROM {identifier(table)} WHERE {column} IS NOT NULL "
                f"LIMIT {_MOST_VALUES + 1}",
                (),
            )
            texts = sorted(str(row[0]) for row in cursor.fetchall())
            if 0 < len(texts) <= _MOST_VALUES and max(map(len, texts)) <= _LONGEST_VALUE:
                values[name] = texts
    checks: dict[str, Any] = {}
    if filled:
        checks["not_null"] = filled
    if ranges:
        checks["between"] = ranges
    if values:
        checks["accepted_values"] = values
    return checks


def _with_room(low: Any, high: Any) -> list[Any]:
    if isinstance(low, int) and isinstance(high, int):
        room = math.ceil((high - low) * (_ROOM - 1))
        return [low - room if low < 0 else max(low - room, 0), high + room]
    low, high = float(Decimal(low)), float(Decimal(high))
    room = (high - low) * (_ROOM - 1)
    lowest = low - room if low < 0 else max(low - room, 0.0)
    return [float(f"{lowest:.4g}"), float(f"{high + room:.4g}")]
