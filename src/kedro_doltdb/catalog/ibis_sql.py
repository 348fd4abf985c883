"""What Ibis' SQL for Dolt has beyond that for MySQL, and Dolt's types as Ibis calls them."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.mysql import MySQLCompiler
from ibis.common import exceptions
from pymysql.constants import FIELD_TYPE, FLAG

from ..tables.columns import BYTES, MICROSECONDS, TEXT, from_text

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_BINARY_CHARSET = 63
_KINDS: dict[int, type[dt.DataType]] = {
    FIELD_TYPE.TINY: dt.Int8, FIELD_TYPE.SHORT: dt.Int16, FIELD_TYPE.INT24: dt.Int32,
    FIELD_TYPE.LONG: dt.Int32, FIELD_TYPE.LONGLONG: dt.Int64, FIELD_TYPE.YEAR: dt.Int16,
    FIELD_TYPE.FLOAT: dt.Float32, FIELD_TYPE.DOUBLE: dt.Float64, FIELD_TYPE.DATE: dt.Date,
    FIELD_TYPE.NEWDATE: dt.Date, FIELD_TYPE.TIME: dt.Time, FIELD_TYPE.JSON: dt.JSON, FIELD_TYPE.BIT: dt.Int64,
}  # fmt: skip
_UNSIGNED = {dt.Int8: dt.UInt8, dt.Int16: dt.UInt16, dt.Int32: dt.UInt32, dt.Int64: dt.UInt64}


class DoltCompiler(MySQLCompiler):  # type: ignore[misc]
    """MySQL's compiler, but with the rows of frames inside the query: Dolt's temporary tables repeat rows."""

    __slots__ = ()

    def visit_InMemoryTable(self, op: Any, *, name: str, schema: sch.Schema, data: Any) -> Any:
        """Return the frame's rows as a query."""
        rows = data.to_pyarrow(schema).to_pylist() or [dict.fromkeys(schema.names)]
        selects = [
            sg.select(
                *(
                    self._literal(row[column], kind).as_(column, quoted=self.quoted)
                    for column, kind in schema.items()
                )
            )
            for row in rows
        ]
        if not data.to_pyarrow(schema).num_rows:
            return selects[0].where(sg.false())
        return selects[0] if len(selects) == 1 else sg.union(*selects, distinct=False)

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: dt.DataType) -> Any:
        """Return a float as a DOUBLE: without an exponent it is a DECIMAL, which rounds quotients."""
        if dtype.is_floating() and isfinite(value):
            text = repr(float(value))
            return sge.Literal.number(text if "e" in text else f"{text}e0")
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Divide(self, op: Any, *, left: Any, right: Any) -> Any:
        """Return a quotient in DOUBLE: of integers Dolt, like MySQL, keeps four digits after the point."""
        left, right = sge.Paren(this=left), sge.Paren(this=right)
        if op.dtype.is_floating():
            left = sge.Mul(this=left, expression=sge.Literal.number("1e0"))
        return sge.Paren(this=sge.Div(this=left, expression=right))

    def visit_IsNan(self, op: Any, *, arg: Any) -> Any:
        """Return false, or NULL of NULL: SQL has no NaN and no infinity."""
        return self.if_(arg.is_(sge.null()), sge.null(), sge.false())

    visit_IsInf = visit_IsNan

    def visit_BitwiseNot(self, op: Any, *, arg: Any) -> Any:
        """Return -1 - x, which is the same of signed integers: Dolt has no ``~``."""
        return sge.Paren(this=sge.Sub(this=sge.Literal.number("-1"), expression=sge.Paren(this=arg)))

    def visit_RegexExtract(self, op: Any, **_: Any) -> Any:
        """Refuse what Dolt 1.83 answers wrongly: groups are left out, and texts are padded by bytes."""
        raise exceptions.UnsupportedOperationError(
            f"Dolt computes {type(op).__name__} otherwise than Ibis means it: compute it in a frame."
        )

    visit_LPad = visit_RPad = visit_RegexExtract

    def visit_Select(self, op: Any, *, predicates: Any, **parts: Any) -> Any:
        """Return a query; Dolt 1.83 panics over a column that is a condition by itself."""
        return super().visit_Select(op, predicates=[_compared(one) for one in predicates], **parts)

    def _literal(self, value: Any, kind: dt.DataType) -> Any:
        op = ops.Literal(value, kind)
        return self.visit_Literal(op, value=op.value, dtype=op.dtype)


def _compared(condition: Any) -> Any:
    """Return a condition in which columns of booleans are compared with TRUE."""
    if isinstance(condition, sge.Column):
        return condition.eq(sge.true())
    if isinstance(condition, sge.Paren | sge.Not | sge.And | sge.Or | sge.Xor):
        for part in ("this", "expression"):
            if condition.args.get(part) is not None:
                condition.set(part, _compared(condition.args[part]))
    return condition


COMPILER = DoltCompiler()


def of_column(column_type: str, *, nullable: bool) -> dt.DataType:
    """Return Ibis' type for one of a table.

    Args:
        column_type: as ``SHOW COLUMNS`` writes it.
        nullable: whether there may be NULL.
    """
    # What BOOLEAN is short for.
    if column_type == "tinyint(1)":
        return dt.Boolean(nullable=nullable)
    plain = re.sub(r" (character set|collate) \S+", "", column_type, flags=re.IGNORECASE)
    found: dt.DataType = COMPILER.type_mapper.from_string(plain, nullable=nullable)
    return found


def described(cursor: Cursor) -> sch.Schema:
    """Return the columns of a query that was run, with their types."""
    result: Any = cursor._result  # type: ignore[attr-defined]
    found = {}
    for field in result.fields:
        code, flags = field.type_code, field.flags
        if code in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
            kind: dt.DataType = dt.Decimal(65, min(field.scale, 30))
        elif code in (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP):
            kind = dt.Timestamp(scale=6)
        elif code == FIELD_TYPE.TINY and field.length == 1:
            kind = dt.Boolean()
        elif code in _KINDS:
            cls = _KINDS[code]
            kind = (_UNSIGNED.get(cls, cls) if flags & FLAG.UNSIGNED else cls)()
        elif code == FIELD_TYPE.NULL:
            kind = dt.Null()
        else:
            kind = dt.Binary() if field.charsetnr == _BINARY_CHARSET else dt.String()
        found[field.name] = kind
    return sch.Schema(found)


def read_as(kind: dt.DataType) -> pa.DataType:
    """Return how a column is read: as the text that Dolt sends, or as bytes."""
    return BYTES if kind.is_binary() else TEXT


def parsed(name: str, texts: pa.ChunkedArray, kind: dt.DataType) -> pa.ChunkedArray | pa.Array:
    """Return the values of a column of a result.

    Args:
        name: the column.
        texts: its values as Dolt sends them.
        kind: its type in Ibis.

    Raises:
        UnsupportedOperationError: Dolt has no such type, or it sent something else.
    """
    if kind.is_binary() or kind.is_string() or kind.is_json() or kind.is_uuid():
        return texts
    if kind.is_null():
        return pa.nulls(len(texts))
    try:
        return _parsed(texts, kind)
    except (pa.ArrowException, InvalidOperation, ValueError) as error:
        raise exceptions.UnsupportedOperationError(
            f"Dolt gives the column {name} otherwise than as {kind}: {str(error).splitlines()[0]}"
        ) from error


def _parsed(texts: pa.ChunkedArray, kind: dt.DataType) -> pa.ChunkedArray | pa.Array:
    if kind.is_boolean():
        numbers = texts.cast(pa.int64())
        if not pc.all(pc.is_in(numbers, pa.array([0, 1, None]))).as_py() and len(numbers):
            raise pa.ArrowInvalid("there are other numbers than 0 and 1")
        return numbers.cast(pa.bool_())
    if kind.is_integer():
        try:
            return texts.cast(kind.to_pyarrow())
        except pa.ArrowInvalid:
            # Sums and quotients are DECIMAL there, or in powers of ten.
            numbers = [None if text is None else Decimal(text) for text in texts.to_pylist()]
            if any(number is not None and number != int(number) for number in numbers):
                raise
            return pa.array([None if n is None else int(n) for n in numbers], kind.to_pyarrow())
    if kind.is_date():
        return from_text(texts, MICROSECONDS).cast(pa.date32())
    if kind.is_timestamp():
        return from_text(texts, MICROSECONDS)
    if kind.is_time() or kind.is_decimal() or kind.is_floating():
        return from_text(texts, kind.to_pyarrow() if not kind.is_time() else pa.time64("us"))
    raise pa.ArrowInvalid("there is no such type in SQL")
