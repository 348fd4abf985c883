"""What a save is to make of a frame: the table's columns and their values, all checked before anything is
written.

Nothing here depends on copies of tables or on what can be read of the table that stands: of that one only the
types of its columns count, and a text column keeps its type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..dolt.sql import quote
from ..errors import BulkLoadError
from .bulk_load import BulkLoad, refuse_decorated_types, refuse_names
from .columns import (
    BYTES,
    DAYS,
    MICROSECONDS,
    TEXT,
    TIME,
    Series,
    arrow_type,
    holds_bytes,
    longest,
    python_values,
    to_arrow,
)
from .encoding import Column, encode, exact_texts
from .table_sql import refuse_key_types
from .text_types import KEY_LENGTHS, text_type, within_a_row

if TYPE_CHECKING:
    from .standing import Standing

MAX_COLUMNS, _MAX_NAME = 4096, 64
# How ``SHOW COLUMNS`` writes what SQLAlchemy writes in another way.
_SHOWN = {
    "integer": "int",
    "bool": "tinyint(1)",
    "float(53)": "double",
    "float(23)": "float",
    "time": "time(6)",
    "decimal": "decimal(10,0)",
    "real": "double",
    "double precision": "double",
}


@dataclass(frozen=True)
class Plan:
    """The table that a frame is to become.

    Attributes:
        columns: its columns, in their order.
        primary_key: the columns of its key, in their order.
        indexes: the columns that get an index of their own, by the name of that.
        rows: its rows; if they are comparable in the order of the key, with the types of ``arrow_type``, and
            else with text in the place of the types that are not known there.
        comparable: they can be compared with the rows that stand.
    """

    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    indexes: dict[str, str]
    rows: pa.Table
    comparable: bool


def plan(
    frame: pd.DataFrame | pa.Table,
    method: BulkLoad,
    dtype: Mapping[Any, Any],
    table: str,
    stands: Mapping[str, str],
    indexes: Sequence[str] = (),
) -> Plan:
    """Say what a frame is to become, and refuse what it cannot become.

    Args:
        frame: the rows, in pandas, without their index, or as ``arrow_frames.arrow_table`` gives them.
        method: how it is saved, which knows its key.
        dtype: SQLAlchemy types by column, as for ``to_sql``.
        table: the table's name.
        stands: the types of the columns that the table has, by name.
        indexes: the columns that get an index of their own where their type can have one.

    Raises:
        BulkLoadError: a value cannot be stored exactly, the key is missing, NULL or duplicate somewhere, or
            there can be no table with these columns.
    """
    labels = frame.column_names if isinstance(frame, pa.Table) else list(frame.columns)
    names, label = [str(name) for name in labels], quote(table)
    refuse_names(table, names)
    _refuse_columns(label, names)
    method.check_key(label, method.primary_key, dict.fromkeys(names, ()))
    types = _types(frame, dtype)
    series = _columns(frame, names)
    columns, arrays, free = {}, {}, []
    for place, name in enumerate(names):
        is_key, given = name in method.primary_key, labels[place] in dtype
        if types[place] == "text" and not given:
            arrays[name] = _text(series[name], name, is_key)
            binary = arrays[name].type == BYTES
            kind = text_type(longest(arrays[name]), binary=binary, is_key=is_key, stands=stands.get(name, ""))
            columns[name] = Column(name, kind)
            if not is_key:
                free.append(name)
            continue
        improved = types[place] in ("datetime", "timestamp") and not given
        columns[name] = Column(name, "datetime(6)" if improved else types[place])
        arrays[name] = _values(series[name], columns[name])
    columns = within_a_row(columns, free)
    refuse_key_types(label, columns.values(), method.primary_key)
    rows = pa.table(arrays, schema=pa.schema({name: array.type for name, array in arrays.items()}))
    rows, comparable = _checked_key(rows, columns, series, method, label)
    indexed = [name for name in indexes if not columns[name].type.endswith(("text", "blob"))]
    named = {_index_name(table, name): name for name in indexed if name not in method.primary_key[:1]}
    return Plan(tuple(columns.values()), method.primary_key, named, rows, comparable)


def _columns(frame: pd.DataFrame | pa.Table, names: Sequence[str]) -> dict[str, Series]:
    if isinstance(frame, pa.Table):
        return dict(zip(names, frame.columns, strict=True))
    return {name: frame.iloc[:, place] for place, name in enumerate(names)}


def added(
    frame: pd.DataFrame | pa.Table, method: BulkLoad, standing: Standing
) -> tuple[list[Column], pa.Table, bool]:
    """Say what a frame adds to a table, and refuse what that cannot take.

    Args:
        frame: the rows, as for :func:`plan`.
        method: how they are saved, which knows the key.
        standing: the table.

    Returns:
        The table's columns that the frame has, the rows with the names of these, and whether they can be
        compared with those that stand.

    Raises:
        BulkLoadError: as for :func:`plan`, or the table lacks a column.
    """
    labels = frame.column_names if isinstance(frame, pa.Table) else list(frame.columns)
    names, label = [str(name) for name in labels], quote(standing.name)
    _refuse_columns(label, names)
    if method.primary_key and not standing.primary_key:
        raise BulkLoadError(
            f"Table {label} has no primary key: save it once with `if_exists: replace`, or give it one with "
            "ALTER TABLE."
        )
    method.check_key(label, standing.primary_key, dict.fromkeys(names, ()))
    if unknown := [name for name in names if name not in standing.columns]:
        raise BulkLoadError(
            f"Table {label} has no column {unknown[0]!r}: leave it out, ALTER TABLE, or save all rows with "
            "`replace`."
        )
    columns = {name: standing.columns[name] for name in names}
    series = _columns(frame, names)
    rows = pa.table({name: _values(series[name], columns[name]) for name in names})
    return list(columns.values()), *_checked_key(rows, columns, series, method, label)


def _refuse_columns(table: str, names: Sequence[str]) -> None:
    """Refuse columns that no table can have; Dolt would say so once the table that stood is gone."""
    if not 0 < len(names) <= MAX_COLUMNS:
        raise BulkLoadError(
            f"The frame for {table} has {len(names)} columns, and a table has 1 to {MAX_COLUMNS}: put the "
            "values in rows, for example with .melt(), or save it in parts."
        )
    first: dict[str, str] = {}
    for name in names:
        if len(name) > _MAX_NAME:
            raise BulkLoadError(
                f"The column name {name!r} has {len(name)} characters, and SQL allows {_MAX_NAME}: rename "
                f"the column of {table}."
            )
        if (other := first.get(name.lower())) is not None:
            how = "twice" if other == name else f"and {other!r}, which are one name in SQL"
            raise BulkLoadError(f"The frame for {table} has the column {name!r} {how}: rename one of them.")
        first[name.lower()] = name


def _types(frame: pd.DataFrame | pa.Table, dtype: Mapping[Any, Any]) -> list[str]:
    """Return the types that pandas chooses for each column, as ``SHOW COLUMNS`` writes them."""
    from pandas.io.sql import SQLTable
    from sqlalchemy.dialects import mysql

    if isinstance(frame, pa.Table):
        given = _types(pd.DataFrame(columns=frame.column_names), dtype)
        return [
            kind if field.name in dtype else sql_type(field.type)
            for field, kind in zip(frame.schema, given, strict=True)
        ]
    nowhere: Any = SimpleNamespace(meta=SimpleNamespace(schema=None))
    table = SQLTable("frame", nowhere, frame=frame, index=False, dtype=dict(dtype) or None)
    refuse_decorated_types(table)
    dialect = mysql.dialect()
    return [_shown(column.type.compile(dialect)) for column in table.table.columns]


def sql_type(kind: pa.DataType) -> str:
    """Return the type that pandas chooses for values of an Arrow type, or DECIMAL, which it does not."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    known = {
        pa.bool_(): "tinyint(1)", pa.int8(): "smallint", pa.int16(): "smallint", pa.int32(): "int",
        pa.int64(): "bigint", pa.float32(): "float", pa.float64(): "double", DAYS: "date", TIME: "time(6)",
        MICROSECONDS: "datetime(6)",
    }  # fmt: skip
    return known.get(kind, "text")


def _shown(compiled: str) -> str:
    compiled = re.sub(r"^numeric\b", "decimal", compiled.lower()).replace(", ", ",")
    return _SHOWN.get(compiled, compiled)


def _index_name(table: str, column: str) -> str:
    """Return the name that SQLAlchemy gives to the index that pandas asks for."""
    from sqlalchemy import Column, Integer, MetaData, Table

    from ..dolt.dialect import DoltDialect

    [index] = Table(table, MetaData(), Column(column, Integer, index=True)).indexes
    quoted = DoltDialect().identifier_preparer.format_index(index)
    return quoted[1:-1].replace("``", "`")


def _values(series: Series, column: Column) -> pa.Array:
    """Return the values that a column is to store; as text where Arrow has no type for exactly those."""
    if arrow_type(column.type) is not None:
        return to_arrow(series, column)
    values = python_values(series)
    texts = exact_texts(column, values)
    return pa.array(
        [None if value is None else text for text, value in zip(texts, values, strict=True)], TEXT
    )


def _text(series: Series, name: str, is_key: bool) -> pa.Array:
    """Text, or bytes where there is nothing else."""
    binary = holds_bytes(series)
    if not is_key:
        return to_arrow(series, Column(name, "longblob" if binary else "longtext"))
    longest_key = f"{'varbinary' if binary else 'varchar'}({KEY_LENGTHS[-1]})"
    return to_arrow(series, Column(name, longest_key))


def _checked_key(
    rows: pa.Table, columns: Mapping[str, Column], series: Mapping[str, Any], method: BulkLoad, table: str
) -> tuple[pa.Table, bool]:
    """Return the rows, in Dolt's order if they are comparable, and whether they are.

    Raises:
        BulkLoadError: a key is NULL, or there twice.
    """
    key = method.primary_key
    if any(rows.column(name).null_count for name in key):
        method.check_key(table, key, {name: python_values(values) for name, values in series.items()})
    known = all(arrow_type(column.type) is not None for column in columns.values())
    # 0.0 and -0.0 are equal in SQL, and not to the bit.
    if not key:
        return rows, False
    comparable = known and not any(pa.types.is_floating(rows.schema.field(name).type) for name in key)
    ordered = in_order(rows, key) if comparable else None
    if ordered is None:
        values = {name: python_values(series[name]) for name in key}
        method.check_unique(table, encode([columns[name] for name in key], list(values.values())), values)
        return rows, False
    return ordered, True


def in_order(rows: pa.Table, primary_key: Sequence[str]) -> pa.Table | None:
    """Return the rows in Dolt's order; None if two of them have the same key."""
    if len(rows) < 2:
        return rows
    if len(primary_key) == 1:
        key = rows.column(primary_key[0])
        if pc.all(pc.less(key.slice(0, len(key) - 1), key.slice(1))).as_py():
            return rows
    rows = rows.take(pc.sort_indices(rows, [(name, "ascending") for name in primary_key]))
    same: Any = True
    for name in primary_key:
        key = rows.column(name)
        same = pc.and_(pc.equal(key.slice(0, len(key) - 1), key.slice(1)), same)
    return None if pc.any(same).as_py() else rows
