"""The audit: all checks of what a run has made of its base, before it is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pymysql

from ..dolt.answers import is_answer, words
from ..journal.reader import passed_before
from ..journal.store import CheckResult
from ..terminal import get_logger
from .change import CHANGE_CHECKS
from .definitions import ERROR, Check, checks_of
from .dolt_tests import TESTS, test_results
from .finding import Finding, failed, skipped
from .query import query_finding
from .state import CHEAP, STATE_CHECKS, tables_read
from .tables import WRITTEN_BY, tables_between

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .tables import CheckedTable

logger = get_logger(__name__)


def audit(
    cursor: Cursor, base: str, checks: Iterable[Check], known: Iterable[CheckResult] = ()
) -> list[CheckResult]:
    """Make all checks.

    Args:
        cursor: on the branch that is checked, uncommitted changes included.
        base: the commit that it is compared with.
        checks: those of ``dolt.yml``.
        known: results of the same data elsewhere; a state that passed there is not read again.

    Returns:
        The results, by table and check, then those of Dolt's own tests.
    """
    checks = list(checks)
    passed = {_identity(result): result for result in known if result.status == "passed"}
    results: list[CheckResult] = []
    if checks:
        tables = tables_between(cursor, base)
        for name in sorted(tables):
            for check in checks_of(name, checks):
                if check.kind != "sql":
                    finding = _finding(check, tables[name], tables, passed)
                    results.append(_result(tables[name].name, check, finding))
        results += _of_no_table(checks, tables)
        results += [
            _result(check.tables, check, query_finding(check, cursor, base))
            for check in _last_of_each_name(checks)
        ]
    return [*results, *test_results(cursor)]


_Identity = tuple[str, str, str, str | None]


def _identity(result: CheckResult) -> _Identity:
    return result.table_name, result.check_name, result.bound, result.content_hash


def _finding(
    check: Check,
    table: CheckedTable,
    tables: Mapping[str, CheckedTable],
    passed: Mapping[_Identity, CheckResult],
) -> Finding:
    try:
        if check.kind in CHANGE_CHECKS:
            if not table.was:
                return skipped("the table is new")
            return CHANGE_CHECKS[check.kind](check, table)
        if not table.is_now:
            return failed("it was dropped")
        return _state(check, table, tables, passed)
    except pymysql.err.Error as error:
        # What the driver refuses to send has no code.
        if not is_answer(error) and isinstance(error.args[0], int):
            raise
        return failed(f"Dolt refused the check: {words(error)}")


def _state(
    check: Check,
    table: CheckedTable,
    tables: Mapping[str, CheckedTable],
    passed: Mapping[_Identity, CheckResult],
) -> Finding:
    make = STATE_CHECKS[check.kind]
    if check.kind in CHEAP:
        return make(check, table, tables)
    read = tables_read(check, table, tables)
    content = " ".join(one.content_hash for one in read)
    if before := passed.get((table.name, check.name, check.bound_text, content)):
        return Finding("passed", before.found, content_hash=content)
    if not any(one.changed for one in read):
        run_id = passed_before(table.cursor, table.name, check.name, check.bound_text, content)
        if run_id:
            return Finding("passed", f"as in run {run_id}", content_hash=content)
    return replace(make(check, table, tables), content_hash=content)


def _of_no_table(checks: Iterable[Check], tables: Mapping[str, CheckedTable]) -> list[CheckResult]:
    results = []
    for tables_of in dict.fromkeys(check.tables for check in checks):
        mine = [
            check
            for check in checks
            if check.tables == tables_of and check.bound is not False and check.kind != "sql"
        ]
        if not mine or any(checks_of(name, mine) for name in tables):
            continue
        logger.warning("No table is called %s, so that its checks in dolt.yml are not made.", tables_of)
        finding = skipped("there is no such table")
        results += [_result(tables_of, check, finding) for check in mine]
    return results


def _last_of_each_name(checks: Iterable[Check]) -> list[Check]:
    found = {(check.tables, check.name): check for check in checks if check.kind == "sql"}
    return [check for check in found.values() if check.bound is not False]


def _result(table: str, check: Check, finding: Finding) -> CheckResult:
    return CheckResult(
        table, check.name, check.severity, finding.status,
        bound=check.bound_text, found=finding.found, offending=finding.rows,
        content_hash=finding.content_hash,
    )  # fmt: skip


def refusing(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the results that stop a publication."""
    return [result for result in results if result.status == "failed" and result.severity == ERROR]


def warnings(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the results that failed and do not stop it."""
    return [result for result in results if result.status == "failed" and result.severity != ERROR]


@dataclass(frozen=True)
class Acceptance:
    """Failures that somebody accepts.

    Attributes:
        checks: as they are called in messages, ``example_test_x.max_rows_changed``, or without the table, or
            without the column.
        by: who.
        reason: why.
    """

    checks: tuple[str, ...] = ()
    by: str = ""
    reason: str = ""

    def covers(self, result: CheckResult) -> bool:
        """Return whether it accepts the failure of a check."""
        kind = result.check_name.partition(".")[0]
        for name in self.checks:
            for end in (result.check_name, kind):
                table = name.removesuffix(f".{end}")
                if name == end or (table != name and table.lower() == result.table_name.lower()):
                    return True
        return False

    def applied(self, results: Iterable[CheckResult]) -> list[CheckResult]:
        """Return the results, with those that refuse and are accepted marked so."""
        return [
            replace(result, status="accepted", accepted_by=self.by, reason=self.reason)
            if result in refusing([result]) and self.covers(result)
            else result
            for result in results
        ]


def accepted_as_before(results: Iterable[CheckResult], before: Iterable[CheckResult]) -> list[CheckResult]:
    """Return results, of which those are accepted that were accepted before, for the same reasons."""
    accepted = {result.name: result for result in before if result.status == "accepted"}
    found = []
    for result in results:
        if old := accepted.get(result.name):
            acceptance = Acceptance((result.name,), old.accepted_by or "", old.reason or "")
            result = acceptance.applied([result])[0]
        found.append(result)
    return found


def described(result: CheckResult) -> str:
    """Return a result in one line: what was found, the bound, the first rows."""
    rows = f"; first rows: {', '.join(map(row_text, result.offending))}" if result.offending else ""
    return f"{_summary(result)}{rows}"


def told(results: Iterable[CheckResult]) -> str:
    """Return what a commit message says of the results: the failures that were accepted, the warnings."""
    lines = [
        f"Check accepted by {result.accepted_by} ({result.reason}): {_summary(storable(result))}"
        for result in results
        if result.status == "accepted"
    ]
    lines += [
        f"Check failed, which is a warning: {_summary(storable(result))}" for result in warnings(results)
    ]
    return "".join(f"\n{line}" for line in lines)


def storable(result: CheckResult) -> CheckResult:
    """Return a result as it is committed: a test's message may quote any file that the server can read."""
    if result.table_name != TESTS or result.status == "passed":
        return result
    return replace(result, found="")


def _summary(result: CheckResult) -> str:
    bound = f"; bound: {result.bound}" if result.bound not in ("", "true") else ""
    if result.check_name.partition(".")[0] == "sql":
        bound = ""
    return f"{result.name}: {result.found}{bound}" if result.found else result.name


def row_text(row: Mapping[str, object]) -> str:
    """Return an offending row in words."""
    cells = " ".join(f"{name}={value}" for name, value in row.items() if name != WRITTEN_BY)
    return f"({cells}, written by {row[WRITTEN_BY]})" if row.get(WRITTEN_BY) else f"({cells})"
