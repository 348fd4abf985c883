"""What a Dolt server answers in the place of a result, in words that say what to do about it."""

from __future__ import annotations

from pymysql.constants import CR, ER
from pymysql.err import Error

from .errors import DoltError, ServerError

GONE = {CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST}


def words(error: Error) -> str:
    """Return the server's own words; Dolt may add a stack of calls to them."""
    return str(error.args[-1]).strip().partition("\n")[0]


def is_answer(error: Error) -> bool:
    """Return whether a server that lets us in has answered; if not, the driver or the login is at fault."""
    code = error.args[0]
    return isinstance(code, int) and code < CR.CR_ERROR_FIRST and code != ER.ACCESS_DENIED_ERROR


def is_read_only(error: Error) -> bool:
    """Return whether the server takes no changes."""
    return "read only mode" in words(error) or "read-only" in words(error)


def plain(error: Error) -> DoltError:
    """Return the error of ours for one of the driver's."""
    said = words(error)
    if error.args[0] in GONE:
        return ServerError(
            f"The Dolt server has ended, or does not answer ({said}): run again. The log of the one "
            "that runs start is data/.dolt/kedro/sql-server.log."
        )
    if is_read_only(error):
        return ServerError(
            "The Dolt server is read-only, and a run writes to a branch of its own: start the server without "
            "`--readonly` (`read_only` in its configuration), or use another one."
        )
    if "required but not found" in said:
        return DoltError(
            f"Dolt lacks data that it needs ({said}): a table or a branch was removed while it was in "
            "use, or the repository is damaged. Run again; if it comes again, `dolt fsck` in data/ tells."
        )
    if "cannot resolve default branch head" in said:
        return DoltError(
            f"The branch that is checked out in data/ is gone ({said}): `dolt checkout main` in data/, or, "
            "on another server, `SET @@GLOBAL.<database>_default_branch = 'main'`. Then run again."
        )
    if "@autocommit must be disabled" in said or "has unresolved conflicts" in said:
        return DoltError(
            "A merge on the branch has conflicts that nobody has resolved: in data/, `dolt conflicts resolve "
            "--ours <table>` and `dolt commit -a`, or `dolt merge --abort`. Then run again."
        )
    return DoltError(f"Dolt refused: {said}")
