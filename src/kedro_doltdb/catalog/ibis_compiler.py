"""What Ibis' SQL for queries is in Dolt, where 1.83 answers that for MySQL wrongly or not at all."""

from __future__ import annotations

from typing import Any, ClassVar

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.dialects import MySQL
from ibis.common.exceptions import UnsupportedOperationError

from .ibis_values import ValueCompiler, as_double, exact


class Dolt(MySQL):  # type: ignore[misc]
    """MySQL's dialect, by the name that ``table.sql(..., dialect="dolt")`` looks up."""


class DoltCompiler(ValueCompiler):
    """MySQL's compiler, but with the rows of frames inside the query: Dolt's temporary tables repeat rows."""

    __slots__ = ()
    dialect = Dolt
    SIMPLE_OPS: ClassVar[dict[Any, str]] = {}

    def visit_InMemoryTable(self, op: Any, *, name: str, schema: sch.Schema, data: Any) -> Any:
        """Return the frame's rows as a query."""
        rows = data.to_pyarrow(schema).to_pylist()
        selects = [
            sg.select(
                *(
                    self._typed(row[column], kind).as_(column, quoted=self.quoted)
                    for column, kind in schema.items()
                )
            )
            for row in rows or [dict.fromkeys(schema.names)]
        ]
        if not rows:
            return selects[0].where(sge.false())
        return selects[0] if len(selects) == 1 else sg.union(*selects, distinct=False)

    def visit_CountStar(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Return the number of rows; of no rows SUM, which Ibis takes for a condition, is NULL."""
        return self.f.count(sge.Star() if where is None else self.if_(where, 1, sge.null()))

    def visit_CountDistinctStar(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Refuse: COUNT(DISTINCT …) of several columns passes over rows with NULL."""
        raise UnsupportedOperationError(
            "Dolt does not count distinct rows that have NULL: use table.distinct().count()."
        )

    def visit_GroupConcat(self, op: Any, *, arg: Any, sep: Any, where: Any, order_by: Any) -> Any:
        """Return texts in one; Dolt's GROUP_CONCAT passes over those that are empty."""
        if not isinstance(op.sep, ops.Literal):
            raise UnsupportedOperationError("Dolt needs the separator as a text, not as a column.")
        arg = self.f.concat(arg, sep.copy())
        joined = super().visit_GroupConcat(op, arg=arg, sep=sge.convert(""), where=where, order_by=order_by)
        return self.f.left(joined, self.f.length(joined.copy()) - len(op.sep.value))

    def visit_Mean(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Return a mean; over a window, Dolt rounds that of integers to one."""
        mean = self.agg.avg(_real(op.arg, arg), where=where)
        return self.cast(mean, op.dtype) if op.dtype.is_decimal() else mean

    def visit_Variance(self, op: Any, *, arg: Any, how: str, where: Any) -> Any:
        """Return a variance or deviation; Dolt rounds that of integers to one."""
        name = {ops.Variance: "var", ops.StandardDev: "stddev"}[type(op)]
        return self.agg[f"{name}_{how.removesuffix('le')}"](_real(op.arg, arg), where=where)

    visit_StandardDev = visit_Variance

    def visit_Aggregate(self, op: Any, *, parent: Any, groups: Any, metrics: Any) -> Any:
        """Return a query; in Dolt, one of two aggregates that differ in case only has both results."""
        metrics = {name: metric.transform(_told_apart) for name, metric in metrics.items()}
        return super().visit_Aggregate(op, parent=parent, groups=groups, metrics=metrics)

    def visit_WindowFunction(self, op: Any, *, func: Any, **parts: Any) -> Any:
        """Return a function over a window; where all is NULL, Dolt's SUM is 0 and its AVG NaN."""
        called = func.this if isinstance(func, sge.Cast) else func
        window = super().visit_WindowFunction(op, func=called, **parts).transform(_told_apart)
        if isinstance(called, sge.Sum | sge.Avg):
            count = window.copy()
            count.set("this", self.f.count(window.this.this.copy()))
            window = self.if_(count.eq(0), sge.null(), window)
        if called is not func:
            func.set("this", window)
            return func
        return window

    def _side(self, side: Any, schema: sch.Schema) -> Any:
        """Return a side of a UNION, to which the same value of two types is two values."""
        columns = {name: sg.column(name, quoted=self.quoted) for name in schema.names}
        alike = {
            name: self.cast(columns[name], exact(kind))
            for name, kind in schema.items()
            if kind.is_boolean() or kind.is_date() or kind.is_timestamp()
        }
        if not alike:
            return side
        selected = [alike.get(name, column).as_(name, quoted=self.quoted) for name, column in columns.items()]
        if not isinstance(side, sge.Table | sge.Subquery):
            side = side.subquery("side")
        return sg.select(*selected).from_(side)

    def _both(self, op: Any, left: Any, right: Any) -> dict[str, Any]:
        return {"left": self._side(left, op.left.schema), "right": self._side(right, op.right.schema)}

    def visit_Union(self, op: Any, *, left: Any, right: Any, distinct: bool) -> Any:
        """Return the rows of two queries."""
        return super().visit_Union(op, **self._both(op, left, right), distinct=distinct)

    def visit_Intersection(self, op: Any, *, left: Any, right: Any, distinct: bool) -> Any:
        """Return the rows that are in both of two queries."""
        return super().visit_Intersection(op, **self._both(op, left, right), distinct=distinct)

    def visit_Difference(self, op: Any, *, left: Any, right: Any, distinct: bool) -> Any:
        """Return the rows of a query that are not in another."""
        return super().visit_Difference(op, **self._both(op, left, right), distinct=distinct)

    def visit_Limit(self, op: Any, **parts: Any) -> Any:
        """Return the first rows; of all columns of a query, without a condition, Dolt gives no result."""
        limited = super().visit_Limit(op, **parts)
        query = limited.this if isinstance(limited, sge.Subquery) else limited
        if isinstance(query, sge.Select) and not query.args.get("where"):
            query.where(sge.true(), copy=False)
        return limited

    def visit_JoinChain(self, op: Any, **parts: Any) -> Any:
        """Return a query; a semi or anti join without EXISTS, in which Dolt runs the query for each row."""
        query = super().visit_JoinChain(op, **parts)
        for join in list(query.args.get("joins") or []):
            sides = _sides(join)
            if join.kind in ("SEMI", "ANTI") and sides:
                rows = sg.select(*sides[1]).from_(join.this)
                # Among several columns, NULL would be equal to NULL.
                rows = rows.where(*(sge.Not(this=column.copy().is_(sge.null())) for column in sides[1]))
                if join.kind == "SEMI":
                    join.pop()
                    query.where(sge.In(this=_row(sides[0]), query=rows.subquery()), copy=False)
                else:
                    self._unmatched(query, join, sides[0], rows)
        return query

    def _unmatched(self, query: Any, join: Any, sides: list[Any], rows: Any) -> None:
        """Make an anti join a left one; NOT (a, b) IN (SELECT …) misses equal texts in Dolt."""
        alias, names = join.this.alias_or_name, [f"k{place}" for place in range(len(sides))]
        keys = [key.as_(name) for key, name in zip(rows.expressions, names, strict=True)]
        rows = rows.select(*keys, sge.true().as_("found"), append=False).distinct()
        equal = [
            side.eq(sg.column(name, table=alias, quoted=self.quoted))
            for side, name in zip(sides, names, strict=True)
        ]
        join.replace(sge.Join(this=rows.subquery(alias), side="LEFT", on=sg.and_(*equal)))
        query.where(sg.column("found", table=alias, quoted=self.quoted).is_(sge.null()), copy=False)

    def visit_Select(self, op: Any, *, predicates: Any, **parts: Any) -> Any:
        """Return a query; Dolt 1.83 panics over a column that is a condition by itself."""
        return super().visit_Select(op, predicates=[_compared(one) for one in predicates], **parts)

    def _typed(self, value: Any, kind: dt.DataType) -> Any:
        """Return a value; NULL in the first row would make the column one of texts."""
        op = ops.Literal(value, kind)
        literal = self.visit_Literal(op, value=op.value, dtype=op.dtype)
        if value is None and kind.is_binary():
            return self.f.unhex(literal)
        typed = kind.is_numeric() or kind.is_boolean() or kind.is_date() or kind.is_timestamp()
        return self.cast(literal, kind) if value is None and typed else literal


def _real(op: Any, arg: Any) -> Any:
    return as_double(arg) if op.dtype.is_integer() or op.dtype.is_boolean() else arg


def _told_apart(node: Any) -> Any:
    """Return a text with capitals in a form that is another than that of the same without."""
    text = isinstance(node, sge.Literal) and node.is_string and node.arg_key != "separator"
    if not text or node.this == node.this.lower():
        return node
    return sge.func("COALESCE", node, sge.convert(node.this.encode().hex()))


def _sides(join: Any) -> tuple[list[Any], list[Any]] | None:
    """Return the columns of the two sides of a join, if it asks that they are equal, and nothing else."""
    condition, right = join.args.get("on"), join.this.alias_or_name
    sides: tuple[list[Any], list[Any]] = ([], [])
    if condition is None:
        return None
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
