"""What Ibis' SQL for Dolt has beyond that for MySQL: where Dolt 1.83 would answer wrongly or not at all."""

from __future__ import annotations

from math import isfinite
from typing import Any, ClassVar

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.mysql import MySQLCompiler
from ibis.backends.sql.dialects import MySQL


class Dolt(MySQL):  # type: ignore[misc]
    """MySQL's dialect, by the name that ``table.sql(..., dialect="dolt")`` looks up."""


class DoltCompiler(MySQLCompiler):  # type: ignore[misc]
    """MySQL's compiler, but with the rows of frames inside the query: Dolt's temporary tables repeat rows."""

    __slots__ = ()
    dialect = Dolt
    # Inherited, they would take the place of what is written here.
    SIMPLE_OPS: ClassVar[dict[Any, str]] = {}

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
            return selects[0].where(sge.false())
        return selects[0] if len(selects) == 1 else sg.union(*selects, distinct=False)

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: dt.DataType) -> Any:
        """Return a float as a DOUBLE: without an exponent it is a DECIMAL, which rounds quotients.

        Dolt has no type for a UUID and no MAKETIME.
        """
        if dtype.is_floating() and isfinite(value):
            text = repr(float(value))
            return sge.Literal.number(text if "e" in text else f"{text}e0")
        if dtype.is_uuid():
            return sge.convert(str(value))
        if dtype.is_time():
            return self.f.anon.time(value.isoformat())
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

    def visit_Equals(self, op: Any, *, left: Any, right: Any) -> Any:
        """Return an equality without MySQL's cast to BINARY, for which Dolt compares each row with each."""
        return self.binop(sge.EQ, left, right)

    def visit_StringContains(self, op: Any, *, haystack: Any, needle: Any) -> Any:
        """Return whether a text is in another; sqlglot's LOCATE ignores case in Dolt."""
        return sge.GT(this=self.f.anon.instr(haystack, needle), expression=sge.Literal.number(0))

    def visit_StringFind(self, op: Any, *, arg: Any, substr: Any, start: Any, end: Any) -> Any:
        """Return where a text is in another, counted from 1 and 0 if it is not, as MySQL's LOCATE."""
        if end is not None:
            return super().visit_StringFind(op, arg=arg, substr=substr, start=start, end=end)
        if start is None:
            return self.f.anon.instr(arg, substr)
        found = self.f.anon.instr(self.f.substring(arg, start + 1), substr)
        return self.if_(found.eq(0), 0, found + start)

    def visit_LPad(self, op: Any, *, arg: Any, length: Any, pad: Any) -> Any:
        """Return a text with others before it: Dolt's LPAD counts bytes."""
        return self.f.concat(self._padding(arg, length, pad), arg)

    def visit_RPad(self, op: Any, *, arg: Any, length: Any, pad: Any) -> Any:
        """Return a text with others after it."""
        return self.f.concat(arg, self._padding(arg, length, pad))

    def _padding(self, arg: Any, length: Any, pad: Any) -> Any:
        missing = self.f.greatest(length - self.f.length(arg), 0)
        return self.f.left(self.f.repeat(pad, missing), missing)

    def visit_RegexExtract(self, op: Any, *, arg: Any, pattern: Any, index: Any) -> Any:
        """Return a group of a match; a group is ``$1`` to Dolt, as to MySQL 8, and not MariaDB's ``\\1``."""
        # Dolt panics over a column of TEXT, but not over what is computed of it.
        arg = self.f.concat(arg, "")
        whole = self.f.concat(r"^[\s\S]*?(?:", pattern, r")[\s\S]*$")
        group = self.f.regexp_replace(arg, whole, self.f.concat("$", index))
        return self.if_(
            arg.rlike(pattern), self.if_(index.eq(0), self.f.regexp_substr(arg, pattern), group), sge.null()
        )

    def visit_Cast(self, op: Any, *, arg: Any, to: dt.DataType) -> Any:
        """Return a cast; that of a time to text is NULL in Dolt, and of a DATE('…') has a time."""
        given = op.arg.dtype
        if to.is_string() and given.is_time():
            text = self.f.anon.time_format(arg, "%H:%i:%s.%f")
            return sge.Trim(this=text, expression=sge.convert(".000000"), position="TRAILING")
        if to.is_string() and given.is_date():
            return self.f.anon.date_format(arg, "%Y-%m-%d")
        if to.is_timestamp() and given.is_numeric():
            return self._timestamp(arg)
        return super().visit_Cast(op, arg=arg, to=to)

    def _timestamp(self, seconds: Any) -> Any:
        """Return a number of seconds since 1970 as a timestamp: FROM_UNIXTIME rounds, and has none before."""
        micros = self.f.round(sge.Paren(this=seconds) * 1_000_000)
        start = self.cast("1970-01-01", dt.Timestamp(scale=6))
        interval = sge.Interval(this=self.cast(micros, dt.int64), unit=self.v.MICROSECOND)
        return self.f.anon.date_add(start, interval)

    def visit_TimestampAdd(self, op: Any, *, left: Any, right: Any) -> Any:
        """Return a later time; with ``+`` Dolt rounds it to seconds."""
        return self._moved(left, right, later=True)

    def visit_TimestampSub(self, op: Any, *, left: Any, right: Any) -> Any:
        """Return an earlier time."""
        return self._moved(left, right, later=False)

    visit_DateAdd, visit_DateSub = visit_TimestampAdd, visit_TimestampSub

    def _moved(self, time: Any, interval: Any, *, later: bool) -> Any:
        interval = interval.unnest()
        if isinstance(interval, sge.Add | sge.Sub):
            rest = later == isinstance(interval, sge.Add)
            return self._moved(self._moved(time, interval.left, later=later), interval.right, later=rest)
        if interval.args["unit"].name.upper() == "MILLISECOND":
            interval = sge.Interval(this=interval.this * 1000, unit=self.v.MICROSECOND)
        return (self.f.anon.date_add if later else self.f.anon.date_sub)(time, interval)

    def visit_ExtractEpochSeconds(self, op: Any, *, arg: Any) -> Any:
        """Return the seconds since 1970: UNIX_TIMESTAMP has none before."""
        return self.f.timestampdiff(self.v.SECOND, self.f.timestamp("1970-01-01 00:00:00"), arg)

    def visit_DateTimestampTruncate(self, op: Any, *, arg: Any, unit: Any) -> Any:
        """Return the start of a period; Dolt has no MAKEDATE for that of a quarter."""
        if unit.short == "Q":
            months = sge.Interval(this=(self.f.month(arg) - 1) % 3, unit=self.v.MONTH)
            text = self.f.anon.date_format(self.f.anon.date_sub(arg, months), "%Y-%m-01")
        else:
            text = super().visit_DateTimestampTruncate(op, arg=arg, unit=unit)
        return self.cast(text, op.dtype)

    visit_DateTruncate = visit_TimestampTruncate = visit_DateTimestampTruncate

    def visit_StringToTimestamp(self, op: Any, *, arg: Any, format_str: Any) -> Any:
        """Return a text as a timestamp; Dolt refuses a column of TEXT and NULL."""
        return self.f.str_to_date(self.f.concat(self.f.coalesce(arg, ""), ""), format_str)

    visit_StringToDate = visit_StringToTimestamp

    def visit_UnwrapJSONInt64(self, op: Any, *, arg: Any) -> Any:
        """Return an integer in JSON: in a table each number is a DOUBLE to Dolt."""
        text = self.f.json_unquote(arg)
        whole = sg.and_(self.f.json_type(arg).isin("INTEGER", "DOUBLE"), text.rlike("^-?[0-9]+$"))
        return self.if_(whole, self.cast(text, op.dtype), sge.null())

    def visit_UnwrapJSONBoolean(self, op: Any, *, arg: Any) -> Any:
        """Return a boolean in JSON, which Dolt finds unequal to its text."""
        value = self.f.json_unquote(arg).eq("true")
        return self.if_(self.f.json_type(arg).eq("BOOLEAN"), value, sge.null())

    def visit_Limit(self, op: Any, **parts: Any) -> Any:
        """Return the first rows; of all columns of a query, without a condition, Dolt gives no result."""
        limited = super().visit_Limit(op, **parts)
        query = limited.this if isinstance(limited, sge.Subquery) else limited
        if isinstance(query, sge.Select) and not query.args.get("where"):
            query.where(sge.true(), copy=False)
        return limited

    def visit_JoinChain(self, op: Any, **parts: Any) -> Any:
        """Return a query; a semi or anti join with IN: Dolt runs the query in an EXISTS for each row."""
        query = super().visit_JoinChain(op, **parts)
        for join in list(query.args.get("joins") or []):
            sides = _sides(join)
            if join.kind in ("SEMI", "ANTI") and sides:
                rows = sg.select(*sides[1]).from_(join.this)
                if len(sides[0]) > 1:
                    # Among several columns, NULL would be equal to NULL.
                    rows = rows.where(*(sge.Not(this=column.copy().is_(sge.null())) for column in sides[1]))
                found = sge.In(this=_row(sides[0]), query=rows.subquery())
                # NULL where nothing is equal, but something is NULL.
                kept = found if join.kind == "SEMI" else self.f.coalesce(found, sge.false()).not_()
                join.pop()
                query = query.where(kept)
        return query

    def visit_Select(self, op: Any, *, predicates: Any, **parts: Any) -> Any:
        """Return a query; Dolt 1.83 panics over a column that is a condition by itself."""
        return super().visit_Select(op, predicates=[_compared(one) for one in predicates], **parts)

    def _literal(self, value: Any, kind: dt.DataType) -> Any:
        op = ops.Literal(value, kind)
        return self.visit_Literal(op, value=op.value, dtype=op.dtype)


def _sides(join: Any) -> tuple[list[Any], list[Any]] | None:
    """Return the columns of the two sides of a join, if it asks that they are equal, and nothing else."""
    condition, right = join.args.get("on"), join.this.alias_or_name
    sides: tuple[list[Any], list[Any]] = ([], [])
    for one in condition.flatten() if isinstance(condition, sge.And) else [condition]:
        one = one.unnest()
        ends = [one.left, one.right] if isinstance(one, sge.EQ) else []
        if not ends or not all(isinstance(end, sge.Column) for end in ends):
            return None
        ends.sort(key=lambda end: end.table == right)
        if [end.table == right for end in ends] != [False, True]:
            return None
        for side, end in zip(sides, ends, strict=True):
            side.append(end.copy())
    return sides


def _row(columns: list[Any]) -> Any:
    return columns[0] if len(columns) == 1 else sge.Tuple(expressions=columns)


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
