"""Checks of the change: what a run may change of a table. They read what Dolt's diff gives, not the table."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..dolt.sql import identifier
from ..journal.metrics import metrics_at
from .definitions import AGGREGATE
from .finding import Finding, failed, judged, passed, skipped
from .tables import MOST_ROWS, NOW, plain_rows

if TYPE_CHECKING:
    from .definitions import Check
    from .tables import CheckedTable

_KINDS = {
    "max_rows_added": ("added",),
    "max_rows_removed": ("removed",),
    "max_rows_modified": ("modified",),
    "max_rows_changed": ("added", "removed", "modified"),
}


def _max_rows(check: Check, table: CheckedTable) -> Finding:
    counts = table.counts
    kinds = _KINDS[check.kind]
    number = sum(getattr(counts, kind) for kind in kinds)
    what = check.kind.rpartition("_")[2]
    found = f"{number} of {counts.before} rows {what}"
    if isinstance(check.bound, str):
        if not counts.before:
            return skipped(f"{number} rows {what}, and there were no rows that {check.bound} could be of")
        good = number * 100 <= Decimal(check.bound.rstrip("%")) * counts.before
    else:
        good = number <= check.bound
    return judged(good, _with_note(found, counts.note), lambda: table.changed_keys(*kinds))


def _append_only(_: Check, table: CheckedTable) -> Finding:
    counts = table.counts
    found = f"{counts.removed} rows removed and {counts.modified} modified of {counts.before}"
    good = not counts.removed and not counts.modified
    return judged(good, _with_note(found, counts.note), lambda: table.changed_keys("removed", "modified"))


def _unchanged(_: Check, table: CheckedTable) -> Finding:
    if not table.changed:
        return passed("as it was")
    counts = table.counts
    found = f"{counts.added} rows added, {counts.removed} removed, {counts.modified} modified"
    if table.schema_change:
        found += ", and its schema changed"
    return judged(
        False, _with_note(found, counts.note), lambda: table.changed_keys(*_KINDS["max_rows_changed"])
    )


def _frozen_schema(_: Check, table: CheckedTable) -> Finding:
    if not table.is_now:
        return failed("it was dropped")
    if not table.schema_change:
        return passed("as it was")
    return failed("; ".join(table.schema_change))


def _columns_changed_within(check: Check, table: CheckedTable) -> Finding:
    if not table.is_now:
        return failed("it was dropped")
    if table.has_other_key:
        return failed("its primary key has changed, so that no row can be compared with what it was")
    allowed = {name.lower() for name in check.bound}
    known = {name.lower() for name in [*table.columns, *table.columns_before]}
    if unknown := [name for name in check.bound if name.lower() not in known]:
        return failed(f"it has no column {unknown[0]}")
    others = [name for name in table.columns if name.lower() not in allowed and not table.columns[name]]
    before = {name.lower() for name in table.columns_before}
    new = [name for name in others if name.lower() not in before]
    now = {name.lower() for name in table.columns}
    gone = [name for name in table.columns_before if name.lower() not in now | allowed]
    if new or gone:
        words = [f"column {name} is new" for name in new] + [f"column {name} is gone" for name in gone]
        return failed(", ".join(words))
    if not table.changed or not table.keys or not others:
        note = "" if table.keys else " (it has no primary key, so that no row counts as modified)"
        return passed(f"no other column changed{note}")
    rows = _modified(table, others)
    if not rows:
        return passed("no other column changed")
    columns = ", ".join(name for name in others if any(name in row for row in rows))
    return failed(f"{columns} changed", plain_rows(rows))


def _modified(table: CheckedTable, columns: list[str]) -> list[dict[str, Any]]:
    """Return the first rows of which one of ``columns`` has changed: their keys, and those columns."""
    cursor, keys = table.cursor, table.keys
    # Dolt adds two columns to its diff, which have the names of those of a table's columns.
    if {name.lower() for name in table.columns} & {"commit", "commit_date"}:
        name = identifier(table.name)
        on = " AND ".join(f"here.{identifier(key)} = there.{identifier(key)}" for key in keys)
        source = f"FROM {name} AS OF %s here JOIN {name} AS OF %s there ON {on} WHERE TRUE"
        values: tuple[str, ...] = (NOW, table.base)
        names = {
            name: (f"here.{identifier(name)}", f"there.{identifier(name)}") for name in [*keys, *columns]
        }
    else:
        source, values = (
            "FROM dolt_diff(%s, %s, %s) WHERE diff_type = 'modified'", (table.base, NOW, table.name)
        )  # fmt: skip
        names = {name: (identifier(f"to_{name}"), identifier(f"from_{name}")) for name in [*keys, *columns]}
    differs = [f"NOT ({new} <=> {old})" for new, old in (names[name] for name in columns)]
    selected = ", ".join([*(names[key][0] for key in keys), *differs, *(names[name][0] for name in columns)])
    cursor.execute(f"SELECT {selected} {source} AND ({' OR '.join(differs)}) LIMIT {MOST_ROWS}", values)
    found = []
    for row in cursor.fetchall():
        flags = row[len(keys) : len(keys) + len(columns)]
        changed = zip(columns, flags, row[len(keys) + len(columns) :], strict=True)
        found.append(
            {**dict(zip(keys, row, strict=False)), **{name: new for name, flag, new in changed if flag}}
        )
    return found


def _max_change(check: Check, table: CheckedTable) -> Finding:
    if not table.is_now:
        return failed("it was dropped")
    if not table.changed and (match := AGGREGATE.fullmatch(check.of)) and table.column(match[2].strip()):
        return passed("as it was")
    was, now, known = _measured(check.of, table)
    if was is None:
        if now is None:
            return failed(f"there is no {check.of}: there is {', '.join(known) or 'no number'}")
        return skipped(f"{_shown(now)} now, and there was none")
    if now is None:
        return failed(f"{_shown(was)} before, and none now")
    change = now - was
    sign = "+" if change > 0 else ""
    found = f"{_shown(was)} before, {_shown(now)} now ({sign}{_shown(change)})"
    bounds = {way: Decimal(str(bound)) for way, bound in check.bound.items()}
    # Whatever is compared with a NaN is not allowed.
    good = change.is_finite() and all(
        (-change if way == "fall" else change) <= bound for way, bound in bounds.items()
    )
    return failed(found) if not good else passed(found)


def _measured(name: str, table: CheckedTable) -> tuple[Decimal | None, Decimal | None, list[str]]:
    """Return a metric or aggregate before and now, and the names of those that there are."""
    cursor = table.cursor
    if match := AGGREGATE.fullmatch(name):
        function, column = match[1].lower(), match[2].strip()
        values: list[Decimal | None] = []
        for ref, columns in ((table.base, table.columns_before), (NOW, table.columns)):
            named = next((known for known in columns if known.lower() == column.lower()), None)
            if named is None and not (function == "count" and column == "*"):
                values.append(None)
                continue
            what = "*" if named is None else identifier(named)
            cursor.execute(
                f"SELECT {function.upper()}({what}) FROM {identifier(table.name)} AS OF %s", (ref,)
            )
            row = cursor.fetchone()
            values.append(_decimal(row[0] if row else None))
        return values[0], values[1], list(table.columns)
    before, now = metrics_at(cursor, [(table.base, [table.name]), (NOW, [table.name])])
    known = sorted({*before, *now})
    return _decimal(before.get(name)), _decimal(now.get(name)), known


def _decimal(value: Any) -> Decimal | None:
    # As it is written, for 0.9 - 0.88 is more than 0.02 in floating point.
    try:
        return None if value is None else Decimal(str(value))
    except ArithmeticError:
        return None


def _shown(number: Decimal) -> str:
    whole = number.is_finite() and number == number.to_integral_value()
    return str(int(number)) if whole else f"{float(number):.6g}"


def _with_note(found: str, note: str) -> str:
    return f"{found} ({note})" if note else found


CHANGE_CHECKS: dict[str, Callable[[Check, CheckedTable], Finding]] = {
    **dict.fromkeys(_KINDS, _max_rows),
    "append_only": _append_only,
    "unchanged": _unchanged,
    "frozen_schema": _frozen_schema,
    "columns_changed_within": _columns_changed_within,
    "max_change": _max_change,
}
