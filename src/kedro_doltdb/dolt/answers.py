"""What a Dolt server answers in the place of a result, in words that say what to do about it."""

from __future__ import annotations

import re

from pymysql.constants import CR, ER
from pymysql.err import Error

from ..errors import DoltError, ServerError

_GONE = {CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST}
# MySQL's ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, which PyMySQL does not know.
_READ_ONLY_TRANSACTION = 1792
_MERGING = ("@autocommit must be disabled", "unresolved conflicts", "active merge")


def words(error: Error) -> str:
    """Return the server's own words; Dolt may add a stack of calls to them."""
    return str(error.args[-1]).strip().partition("\n")[0]


def is_answer(error: Error) -> bool:
    """Return whether a server that lets us in has answered; if not, the driver or the login is at fault."""
    code = error.args[0]
    # Codes from 2000 are the driver's; those from 3000 are the server's again.
    return isinstance(code, int) and not 2000 <= code < 3000 and code != ER.ACCESS_DENIED_ERROR


def is_full(error: Error) -> bool:
    """Return whether the server has as many connections as it takes: Dolt accepts one more and is silent."""
    greeting = "during query" in words(error) and "timed out" in words(error)
    return error.args[0] == ER.CON_COUNT_ERROR or (is_lost(error) and greeting)


def is_gone(error: Error) -> bool:
    """Return whether the server has ended, or does not answer."""
    return error.args[0] in _GONE


def is_unreachable(error: Error) -> bool:
    """Return whether no server listens."""
    return bool(error.args[0] == CR.CR_CONN_HOST_ERROR)


def is_lost(error: Error) -> bool:
    """Return whether the connection broke, or was given up, in the middle of a statement."""
    return bool(error.args[0] == CR.CR_SERVER_LOST)


def is_other_server(error: Error) -> bool:
    """Return whether the server lacks a system variable of Dolt's."""
    return bool(error.args[0] == ER.UNKNOWN_SYSTEM_VARIABLE)


def is_read_only_transaction(error: Error) -> bool:
    """Return whether a statement would write in a transaction that only reads."""
    return bool(error.args[0] == _READ_ONLY_TRANSACTION)


def is_missing_table(error: Error) -> bool:
    """Return whether a table is not there."""
    # Dolt has the second code for tables AS OF a commit.
    return error.args[0] == ER.NO_SUCH_TABLE or (
        error.args[0] == ER.UNKNOWN_ERROR and "table not found" in words(error)
    )


def is_other_key(error: Error) -> bool:
    """Return whether the primary keys of a table differ, by columns or types, so that no row is compared."""
    return "primary key set changed" in words(error)


def is_conflict(error: Error) -> bool:
    """Return whether somebody else has committed what cannot be merged with the transaction."""
    return bool(error.args[0] == ER.LOCK_DEADLOCK)


def is_overtaken(error: Error) -> bool:
    """Return whether somebody else has written to the repository in the middle, so that one tries again."""
    return "optimistic lock failed" in words(error)


def is_interrupted(error: Error) -> bool:
    """Return whether Dolt could not read on after the only row that it expected, for a reason it does not
    give."""
    return "max1Row iterator returned more than one row" in words(error)


def is_read_only(error: Error) -> bool:
    """Return whether the server takes no changes."""
    return "read only mode" in words(error) or "read-only" in words(error)


def is_merging(error: Error) -> bool:
    """Return whether a merge on the branch is not finished."""
    return any(part in words(error) for part in _MERGING)


def is_unverified(error: Error) -> bool:
    """Return whether a commit is refused because a test in ``dolt_tests`` fails, or is not there."""
    return any(part in words(error) for part in ("commit verification failed", "failed to run dolt_test_run"))


def is_missing_data(error: Error) -> bool:
    """Return whether Dolt lacks a part of its data; it says so of dropped tables, too."""
    return "required but not found" in words(error)


def is_homeless(error: Error) -> bool:
    """Return whether the branch that a connection is on unless it names one is gone."""
    said = words(error)
    return "cannot resolve default branch head" in said or bool(
        re.fullmatch(r"database not found: [^/]+", said)
    )


def plain(error: Error) -> DoltError:
    """Return the error of ours for one of the driver's."""
    said = words(error)
    if is_full(error):
        return ServerError(
            f"The Dolt server accepts a connection and says nothing ({said}): it has as many as its "
            "`max_connections` allows, or it hangs. Close some, or raise that in its configuration."
        )
    if is_gone(error):
        return ServerError(
            f"The Dolt server has ended, or does not answer ({said}): run again. The log of the one "
            "that runs start is data/.dolt/kedro/sql-server.log."
        )
    if is_read_only(error):
        return ServerError(
            "The Dolt server is read-only, and a run writes to a branch of its own: start the server without "
            "`--readonly` (`read_only` in its configuration), or use another one."
        )
    if is_missing_data(error):
        return DoltError(
            f"Dolt lacks data that it needs ({said}): a table or a branch was removed while it was in "
            "use, or the repository is damaged. Run again; if it comes again, `dolt fsck` tells."
        )
    if is_homeless(error):
        return DoltError(
            f"The branch that was checked out was renamed or deleted ({said}): check out another, "
            "`dolt checkout <branch>`, or make it again, and run again."
        )
    if is_merging(error):
        return DoltError(
            "A merge on the target branch is not finished: `dolt merge --abort` undoes it; or "
            "resolve its conflicts (`dolt conflicts resolve --ours <table>`) and `dolt commit -a`. Run again."
        )
    return DoltError(f"Dolt refused: {said}")
