"""What Ibis' SQL for values is in Dolt, where 1.83 answers that for MySQL wrongly or not at all."""

from __future__ import annotations

import re
from math import copysign, isfinite
from typing import Any, ClassVar

import ibis.expr.datatypes as dt
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.mysql import MySQLCompiler
from ibis.common.exceptions import UnsupportedOperationError

# What strftime calls otherwise than MySQL; what is in neither is refused.
_FORMATS = {
    "%M": "%i", "%B": "%M", "%A": "%W", "%G": "%x", "%V": "%v", "%F": "%Y-%m-%d", "%D": "%m/%d/%y",
    "%R": "%H:%i", "%-d": "%e", "%-m": "%c", "%-H": "%k", "%-I": "%l",
} | {f"%{code}": f"%{code}" for code in "abdHIjmpSYfUwT%"}  # fmt: skip
_SPACE = r"[ \t\n\r\x0b\x0c]+"


class ValueCompiler(MySQLCompiler):  # type: ignore[misc]
    """MySQL's compiler, but for values as Dolt computes them."""

    __slots__ = ()
    # Inherited, they would take the place of what is written here.
    SIMPLE_OPS: ClassVar[dict[Any, str]] = {}

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: dt.DataType) -> Any:
        """Return a float as a DOUBLE: without an exponent it is a DECIMAL, which rounds quotients.

        What DATE('…') and TIMESTAMP('…') give is not the same as the DATE in a column to UNION. Dolt has no
        type for a UUID and no MAKETIME.
        """
        if dtype.is_floating() and isfinite(value):
            text = repr(abs(float(value)))
            number = sge.Literal(this=text if "e" in text else f"{text}e0", is_string=False)
            return sge.Neg(this=number) if copysign(1, value) < 0 else number
        if dtype.is_decimal() and value.is_finite():
            return self.cast(str(value), exact(dtype))
        if dtype.is_date():
            return self.cast(value.isoformat(), dtype)
        if dtype.is_timestamp() and value.tzinfo is None:
            return self.cast(value.isoformat(" "), exact(dtype))
        if dtype.is_uuid():
            return sge.convert(str(value))
        if dtype.is_time():
            return self.f.anon.time(value.isoformat())
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Divide(self, op: Any, *, left: Any, right: Any) -> Any:
        """Return a quotient in DOUBLE: of integers Dolt, like MySQL, keeps four digits after the point."""
        left = as_double(left) if op.dtype.is_floating() else sge.Paren(this=left)
        return sge.Paren(this=sge.Div(this=left, expression=sge.Paren(this=right)))

    def visit_IsNan(self, op: Any, *, arg: Any) -> Any:
        """Return false, or NULL of NULL: SQL has no NaN and no infinity."""
        return self.if_(arg.is_(sge.null()), sge.null(), sge.false())

    visit_IsInf = visit_IsNan

    def visit_FloorDivide(self, op: Any, *, left: Any, right: Any) -> Any:
        """Return a quotient rounded down; of integers Dolt would round it to four digits first."""
        if not (op.left.dtype.is_integer() and op.right.dtype.is_integer()):
            return super().visit_FloorDivide(op, left=left, right=right)
        left, right = sge.Paren(this=left), sge.Paren(this=right)
        rest = sge.Paren(this=sge.Paren(this=left % right) + right) % right
        return sge.Paren(this=sge.IntDiv(this=sge.Paren(this=left - rest), expression=right))

    def visit_Coalesce(self, op: Any, *, arg: Any) -> Any:
        """Return the first that is not NULL; of decimals, Dolt would round it to the digits of the last."""
        if op.dtype.is_decimal():
            arg = [self.cast(one, exact(op.dtype)) for one in arg]
        return self.f.coalesce(*arg)

    def visit_Sign(self, op: Any, *, arg: Any) -> Any:
        """Return -1, 0 or 1; Dolt's SIGN cuts 0.5 to 0 first."""
        sign = sge.Case().when(arg > 0, 1).when(arg < 0, -1).when(arg.eq(0), 0)
        return self.cast(sign, op.dtype)

    def visit_Greatest(self, op: Any, *, arg: Any) -> Any:
        """Return the greatest that is not NULL; Dolt's GREATEST knows neither texts nor dates."""
        return self._extreme(sge.GTE, *arg)

    def visit_Least(self, op: Any, *, arg: Any) -> Any:
        """Return the least that is not NULL."""
        return self._extreme(sge.LTE, *arg)

    def visit_Clip(self, op: Any, *, arg: Any, lower: Any, upper: Any) -> Any:
        """Return a number between two others; one of these that is NULL is no bound."""
        value = arg if upper is None else self._extreme(sge.LTE, arg, upper)
        value = value if lower is None else self._extreme(sge.GTE, value, lower)
        return self.if_(arg.is_(sge.null()), sge.null(), value)

    def _extreme(self, first: Any, *values: Any) -> Any:
        if len(values) == 1:
            return values[0] if isinstance(values[0], sge.Column | sge.Literal) else sge.Paren(this=values[0])
        middle = len(values) // 2
        left, right = self._extreme(first, *values[:middle]), self._extreme(first, *values[middle:])
        # Not COALESCE, which rounds decimals.
        return (
            sge.Case()
            .when(self.binop(first, left, right), left)
            .when(right.is_(sge.null()), left)
            .else_(right)
        )

    def _signed(self, bits: Any) -> Any:
        """Return bits as a signed number; a CAST would make each negative one the greatest there is."""
        least = sge.Sub(this=sge.Literal.number(2**64 - 1), expression=bits)
        return self.if_(bits > 2**63 - 1, sge.Literal.number("-1") - self.cast(least, dt.int64), bits)

    def visit_BitwiseAnd(self, op: Any, *, left: Any, right: Any) -> Any:
        """Return bits that are set in both."""
        return self._signed(sge.Paren(this=self.binop(sge.BitwiseAnd, left, right)))

    def visit_BitwiseOr(self, op: Any, *, left: Any, right: Any) -> Any:
        """Return bits that are set in either."""
        return self._signed(sge.Paren(this=self.binop(sge.BitwiseOr, left, right)))

    def visit_BitwiseXor(self, op: Any, *, left: Any, right: Any) -> Any:
        """Return bits that are set in one."""
        return self._signed(sge.Paren(this=self.binop(sge.BitwiseXor, left, right)))

    def visit_BitAnd(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Return bits that are set in all values; of no value it is NULL."""
        return self._bits("bit_and", arg, where)

    def visit_BitOr(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Return bits that are set in a value."""
        return self._bits("bit_or", arg, where)

    def visit_BitXor(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Return bits that are set in an odd number of values."""
        return self._bits("bit_xor", arg, where)

    def _bits(self, name: str, arg: Any, where: Any) -> Any:
        none = self.agg.count(arg, where=where).eq(0)
        return self.if_(none, sge.null(), self._signed(self.agg[name](arg, where=where)))

    def visit_Not(self, op: Any, *, arg: Any) -> Any:
        """Return a negation in brackets, without which NOT x IS NULL is that of x IS NULL.

        Dolt makes a join of NOT … IN (SELECT …), which keeps what is NULL.
        """
        asked = arg.unnest()
        if isinstance(asked, sge.In) and asked.args.get("query"):
            arg = sge.Paren(this=sge.EQ(this=sge.Paren(this=asked), expression=sge.true()))
        return sge.Paren(this=super().visit_Not(op, arg=arg))

    def visit_Between(self, op: Any, **parts: Any) -> Any:
        """Return whether a value is between others; Dolt's parser needs the brackets."""
        return sge.Paren(this=super().visit_Between(op, **parts))

    def visit_StringSQLLike(self, op: Any, **parts: Any) -> Any:
        """Return whether a text is like a pattern."""
        return sge.Paren(this=super().visit_StringSQLLike(op, **parts))

    def visit_InValues(self, op: Any, *, value: Any, options: Any) -> Any:
        """Return whether a value is among others; Dolt's parser needs the brackets."""
        return sge.Paren(this=super().visit_InValues(op, value=value, options=options))

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

    def visit_LRStrip(self, op: Any, *, arg: Any, position: str) -> Any:
        """Return a text without the white space around it, in whatever order that is."""
        for end, pattern in (("LEADING", f"^{_SPACE}"), ("TRAILING", rf"{_SPACE}\z")):
            if position in (end, "BOTH"):
                # Dolt panics over a column of TEXT.
                arg = self.f.regexp_replace(self.f.concat(arg, ""), pattern, "")
        return arg

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
        """Return a cast; that of a time to text is NULL in Dolt, and of a DATE('…') has a time.

        To a boolean, Dolt rounds a number first, and takes each text for 0.
        """
        given = op.arg.dtype
        if to.is_boolean() and given.is_numeric():
            return sge.Paren(this=sge.NEQ(this=arg, expression=sge.Literal.number(0)))
        if to.is_boolean() and given.is_string():
            raise UnsupportedOperationError('Dolt has no cast of text to boolean: compare it, == "true".')
        if to.is_string() and given.is_boolean():
            return (
                sge.Case(this=arg)
                .when(sge.true(), sge.convert("true"))
                .when(sge.false(), sge.convert("false"))
            )
        if to.is_string() and given.is_time():
            text = self.f.anon.time_format(arg, "%H:%i:%s.%f")
            return sge.Trim(this=text, expression=sge.convert(".000000"), position="TRAILING")
        if to.is_string() and given.is_date():
            return self.f.anon.date_format(arg, "%Y-%m-%d")
        if to.is_timestamp() and given.is_numeric():
            return self._timestamp(arg)
        if to.is_decimal() and to.scale == 0 and given.is_numeric():
            # By itself, DECIMAL(…, 0) keeps all digits.
            arg = self.f.round(arg)
        return super().visit_Cast(op, arg=arg, to=exact(to))

    def visit_TryCast(self, op: Any, *, arg: Any, to: dt.DataType) -> Any:
        """Return a cast, or NULL if there is none; of a text that is no number Dolt makes 0."""
        cast = self.visit_Cast(op, arg=arg, to=to)
        if not (op.arg.dtype.is_string() and to.is_numeric()):
            return cast
        number = r"[0-9]+" if to.is_integer() else r"([0-9]+[.]?[0-9]*|[.][0-9]+)(e[+-]?[0-9]+)?"
        return self.if_(arg.rlike(rf"^[+-]?{number}$"), cast, sge.null())

    def visit_Date(self, op: Any, *, arg: Any) -> Any:
        """Return the date of a time; to UNION, what DATE gives is another than the same in a column."""
        return self.cast(arg, op.dtype)

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
        start = self.f.timestamp("1970-01-01 00:00:00")
        return self.f.floor(self.f.timestampdiff(self.v.MICROSECOND, start, arg) / 1_000_000)

    def visit_Strftime(self, op: Any, *, arg: Any, format_str: Any) -> Any:
        """Return a time as text; sqlglot leaves a minute's %M, which is a month's name in MySQL.

        Dolt writes the year 2000 as 0 for %y.
        """
        return self.f.anon.date_format(arg, _format(format_str))

    def visit_DateTimestampTruncate(self, op: Any, *, arg: Any, unit: Any) -> Any:
        """Return the start of a period; Dolt has no MAKEDATE for that of a quarter."""
        if unit.short == "Q":
            months = sge.Interval(this=(self.f.month(arg) - 1) % 3, unit=self.v.MONTH)
            text = self.f.anon.date_format(self.f.anon.date_sub(arg, months), "%Y-%m-01")
        else:
            text = super().visit_DateTimestampTruncate(op, arg=arg, unit=unit)
        return self.cast(text, exact(op.dtype))

    visit_DateTruncate = visit_TimestampTruncate = visit_DateTimestampTruncate

    def visit_StringToTimestamp(self, op: Any, *, arg: Any, format_str: Any) -> Any:
        """Return a text as a timestamp; Dolt refuses a column of TEXT and NULL."""
        text = self.f.concat(self.f.coalesce(arg, ""), "")
        return self.f.anon.str_to_date(text, _format(format_str, **{"%y": "%y"}))

    visit_StringToDate = visit_StringToTimestamp

    def visit_DateFromYMD(self, op: Any, *, year: Any, month: Any, day: Any) -> Any:
        """Return a date; Dolt refuses NULL."""
        text = self.f.coalesce(self.f.concat(year, "-", month, "-", day), "")
        return self.f.anon.str_to_date(text, "%Y-%m-%d")

    def visit_UnwrapJSONInt64(self, op: Any, *, arg: Any) -> Any:
        """Return an integer in JSON: in a table each number is a DOUBLE to Dolt."""
        text = self.f.json_unquote(arg)
        whole = sg.and_(self.f.json_type(arg).isin("INTEGER", "DOUBLE"), text.rlike("^-?[0-9]+$"))
        return self.if_(whole, self.cast(text, op.dtype), sge.null())

    def visit_UnwrapJSONBoolean(self, op: Any, *, arg: Any) -> Any:
        """Return a boolean in JSON, which Dolt finds unequal to its text."""
        value = self.f.json_unquote(arg).eq("true")
        return self.if_(self.f.json_type(arg).eq("BOOLEAN"), value, sge.null())


def as_double(number: Any) -> Any:
    """Return a number of any type as a DOUBLE."""
    return sge.Mul(this=sge.Paren(this=number), expression=sge.Literal.number("1e0"))


def exact(kind: dt.DataType) -> dt.DataType:
    """Return a type with the digits that it has in Arrow, where Ibis leaves them open."""
    if kind.is_decimal() and (kind.precision is None or kind.scale is None):
        return dt.Decimal(38, 9)
    return dt.Timestamp(scale=6) if kind.is_timestamp() else kind


def _format(literal: Any, **more: str) -> str:
    """Return strftime's format in MySQL's codes."""
    if not isinstance(literal, sge.Literal):
        raise UnsupportedOperationError("Dolt needs the format of a time as a text, not as a column.")

    known = _FORMATS | more

    def code(found: re.Match[str]) -> str:
        if found[0] not in known:
            raise UnsupportedOperationError(f"Dolt has nothing for {found[0]} in the format of a time.")
        return known[found[0]]

    return re.sub(r"%-?.?", code, literal.this)
