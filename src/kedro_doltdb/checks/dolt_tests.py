"""Dolt's own tests, which are data: the table ``dolt_tests``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql

from ..dolt import select
from ..dolt.answers import is_answer, words
from ..dolt.as_of import columns_at
from ..errors import QueryError
from ..journal.store import CheckResult

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

TESTS = "dolt_tests"
# They come with the repository, which may be a stranger's.
_MOST = 1000
_LONGEST = 1 << 16


def test_results(cursor: Cursor) -> list[CheckResult]:
    """Run the tests on the cursor's branch, of all groups.

    None is run if one of them is not a SELECT alone: Dolt would let it write files and set variables.

    Returns:
        A result for each test. Their messages, which may quote whatever the server can read, are for the
        terminal.
    """
    if not columns_at(cursor, TESTS, None):
        return []
    cursor.execute(
        f"SELECT LEFT(test_name, 255), LEFT(test_query, {_LONGEST}), LENGTH(test_query) > {_LONGEST} "
        f"FROM {TESTS} ORDER BY test_name LIMIT {_MOST + 1}"
    )
    tests = cursor.fetchall()
    if len(tests) > _MOST:
        return [_result("*", "failed", f"there are more than {_MOST} tests: none was run")]
    refused = {}
    for name, query, too_long in tests:
        if too_long:
            refused[name] = f"it is longer than {_LONGEST} bytes"
            continue
        try:
            select.check(cursor, query.strip().rstrip(";"))
        except QueryError as error:
            refused[name] = error.message
    if refused:
        return [
            _result(name, "failed", f"not run, for it is not a SELECT that Dolt can run: {refused[name]}")
            if name in refused
            else _result(name, "skipped", "not run, because of the tests that are not SELECTs")
            for name, *_ in tests
        ]
    if not tests:
        return []
    try:
        cursor.execute("SELECT test_name, status, message FROM dolt_test_run('*')")
    except pymysql.err.Error as error:
        if not is_answer(error):
            raise
        return [_result("*", "failed", words(error))]
    return [
        _result(name, "passed" if status == "PASS" else "failed", message or "")
        for name, status, message in cursor.fetchall()
    ]


def _result(name: str, status: str, found: str) -> CheckResult:
    return CheckResult(TESTS, name, "error", status, found=found)
