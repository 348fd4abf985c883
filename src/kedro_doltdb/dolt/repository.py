"""Dolt's version control, spoken over SQL: branches, commits, differences.

Every value is a bound parameter. A branch is reached by connecting to ``<database>/<branch>``; nothing is
ever checked out. See https://docs.dolthub.com/sql-reference/version-control.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import pymysql

from ..errors import ConfigError, DoltError
from . import answers
from .branches import make_branch
from .names import JOURNAL_TABLES
from .sql import quote

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

    from .address import Address

LOCK_TIMEOUT = 60


@dataclass(frozen=True)
class TableChange:
    """How many rows of a table differ between two commits."""

    table: str
    added: int
    removed: int
    modified: int
    dropped: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON holds it."""
        return asdict(self)

    @property
    def counts(self) -> str:
        """How many rows differ, such as ``+2 ~1``; nothing if only the schema does."""
        signs = (("+", self.added), ("-", self.removed), ("~", self.modified))
        return " ".join(f"{sign}{n}" for sign, n in signs if n)

    def __str__(self) -> str:
        return f"{self.table} {'(dropped)' if self.dropped else self.counts or '(schema)'}"


class Repository:
    """The repository that a server serves.

    Args:
        address: the server.
        author: author of the commits, ``name <email>``.
    """

    def __init__(self, address: Address, author: str) -> None:
        self._address = address
        self._author = author
        self._made: str | None = None
        # By branch, while connections are kept to be used again.
        self._idle: dict[str | None, list[pymysql.Connection[Cursor]]] | None = None

    @property
    def database(self) -> str:
        """The name of the database that the server serves."""
        return self._address.database

    @property
    def address(self) -> Address:
        """The server that it is reached by."""
        return self._address

    @property
    def author(self) -> str:
        """The author of the commits, ``name <email>``."""
        return self._author

    @property
    def where(self) -> str:
        """Where Dolt's own commands reach it, as it is said in a hint: ``in data/``."""
        return self._address.where

    @property
    def port(self) -> int:
        """The TCP port of the server."""
        return self._address.port

    @contextmanager
    def reusing(self) -> Iterator[None]:
        """Keep connections open for as long as the context lasts, for what comes next on their branches.

        It is for a row of short questions. Nothing may fork meanwhile, and no node may run: what one has done
        to the branches, the server or the process does not reach a connection that is open.
        """
        if self._idle is not None:
            yield
            return
        self._idle = {}
        try:
            yield
        finally:
            idle, self._idle = self._idle, None
            for connection in itertools.chain(*idle.values()):
                _close(connection)

    @contextmanager
    def on(
        self, branch: str | None = None, *, read_timeout: float | None = None, own: bool = False
    ) -> Iterator[Cursor]:
        """Yield a cursor on ``branch``, or the one checked out in ``data/``, in no transaction.

        Args:
            branch: the branch.
            read_timeout: seconds that an answer may take; None waits for as long as the server lives.
            own: whether the connection is nobody else's, before or after: for what changes the session, and
                for SQL that is not ours.
        """
        idle = None if own or read_timeout else self._idle
        connections = [] if idle is None else idle.setdefault(branch, [])
        connection = connections.pop() if connections else self._connect(branch, read_timeout)
        try:
            with connection.cursor() as cursor:
                yield cursor
        except BaseException:
            _close(connection)
            raise
        # The context that keeps connections may have ended meanwhile, and with it its list.
        if idle is not None and idle is self._idle and idle.get(branch) is connections:
            connections.append(connection)
        else:
            _close(connection)

    def _connect(self, branch: str | None, read_timeout: float | None) -> pymysql.Connection[Cursor]:
        try:
            return self._address.connect(branch, autocommit=True, read_timeout=read_timeout)
        except pymysql.err.Error as error:
            # Somebody has removed the branch that was checked out: a run still has to keep what it wrote.
            if (branch := branch or self._made) is None or not answers.is_homeless(error):
                raise
            return self._address.connect(branch, autocommit=True, read_timeout=read_timeout, qualified=False)

    def _forget_connections(self, branch: str) -> None:
        """Close the idle connections on a branch that is made or deleted: they know the one before."""
        for connection in (self._idle or {}).pop(branch, ()):
            _close(connection)

    def version(self) -> str:
        """Return the version of the server."""
        with self.on() as cursor:
            return str(_value(cursor, "SELECT dolt_version()"))

    def checked_out(self) -> str:
        """Return the branch checked out in ``data/``."""
        # A connection stays on the branch that was checked out when it was opened.
        with self.on(own=True) as cursor:
            return str(_value(cursor, "SELECT active_branch()"))

    def branches(self) -> set[str]:
        """Return the names of all branches."""
        with self.on() as cursor:
            cursor.execute("SELECT name FROM dolt_branches")
            return {row[0] for row in cursor.fetchall()}

    def head(self, branch: str) -> str:
        """Return the commit that ``branch`` points at.

        Raises:
            DoltError: there is no such branch.
        """
        with self.on() as cursor:
            cursor.execute("SELECT hash FROM dolt_branches WHERE name = %s", (branch,))
            if (row := cursor.fetchone()) is None:
                raise DoltError(
                    f"The branch {branch} is gone: it was renamed or deleted. Make it again with "
                    f"`dolt branch {branch} <commit>` {self.where}, or check out another, and run again."
                )
            return str(row[0])

    def create_branch(self, branch: str, commit: str) -> None:
        """Make ``branch`` point at ``commit``.

        Raises:
            ConfigError: Dolt does not allow the name.
        """
        self._forget_connections(branch)
        with self.on() as cursor:
            try:
                make_branch(cursor, branch, commit)
                self._made = branch
            except pymysql.err.Error as error:
                if "invalid branch name" not in answers.words(error):
                    raise
                raise ConfigError(f"{branch!r} is not a valid branch name: {answers.words(error)}") from error

    def delete_branch(self, branch: str) -> None:
        """Delete ``branch``, merged or not."""
        self._forget_connections(branch)
        with self.on() as cursor:
            cursor.execute("CALL DOLT_BRANCH('-D', %s)", (branch,))

    def uncommitted(self, branch: str, *, ignored: bool = False) -> list[str]:
        """Return the tables with uncommitted changes on ``branch``.

        Args:
            branch: the branch.
            ignored: whether to include new tables that ``dolt_ignore`` matches.
        """
        with self.on(branch) as cursor:
            return _uncommitted(cursor, ignored)

    def merge_in_progress(self, branch: str) -> bool:
        """Return whether a merge on ``branch`` waits to be resolved and committed."""
        with self.on(branch) as cursor:
            return bool(_value(cursor, "SELECT is_merging FROM dolt_merge_status"))

    def views(self, branch: str) -> set[str]:
        """Return the names of the views on ``branch``."""
        with self.on(branch) as cursor:
            cursor.execute("SHOW FULL TABLES WHERE Table_type = 'VIEW'")
            return {row[0] for row in cursor.fetchall()}

    def commit_edits(self, branch: str, message: str) -> None:
        """Commit the user's edits on ``branch``; new tables that ``dolt_ignore`` matches stay as they are."""
        with self.on(branch) as cursor:
            # `DOLT_ADD('-A')` passes over changes of a tracked table as well, if a pattern matches its name.
            tables = _uncommitted(cursor, ignored=False)
            cursor.execute(f"CALL DOLT_ADD('--force'{', %s' * len(tables)})", tables)
            _commit(cursor, message, self._author, verify=False)

    def merge_state(self, branch: str) -> tuple[str | None, tuple[str, ...]]:
        """Return what is being merged into ``branch``, None if nothing is, and the tables that hold it up."""
        with self.on(branch) as cursor:
            cursor.execute("SELECT is_merging, source, source_commit, unmerged_tables FROM dolt_merge_status")
            is_merging, source, commit, tables = cursor.fetchone() or (False, None, None, None)
        if not is_merging:
            return None, ()
        return str(source or commit), tuple(
            name.strip() for name in str(tables or "").split(",") if name.strip()
        )

    def commit_all(
        self,
        branch: str,
        message: str,
        write_journal: Callable[[Cursor], str] | None = None,
        author: str | None = None,
        *,
        journal_alone: bool = False,
        verify: bool = False,
    ) -> str | None:
        """Commit everything on a run's private ``branch``, and with it what ``write_journal`` writes.

        Tables that ``dolt_ignore`` matches are committed too: all that is on that branch is the run's.

        Args:
            branch: the branch.
            message: of the commit.
            write_journal: called with a cursor on the branch; what it returns ends the message.
            author: ``name <email>``; None is the user.
            journal_alone: whether to commit the journal even if there is nothing else.
            verify: whether Dolt may refuse it because of the tests that
                ``dolt_commit_verification_groups`` names: what is to be published it may, what is to be kept
                must not be lost to it.

        Returns:
            The commit; None when there was nothing to commit, and then nothing is written to the journal.
        """
        # Checks run what the user has written in SQL.
        with self.on(branch, own=True) as cursor:
            if not (journal_alone or _uncommitted(cursor, ignored=True)):
                return None
            if write_journal:
                message += write_journal(cursor)
            cursor.execute("CALL DOLT_ADD('-A', '--force')")
            return _commit(cursor, message, author or self._author, verify=verify)

    def table_hashes(self, ref: str, tables: Iterable[str]) -> dict[str, str]:
        """Return the content hash of each of ``tables`` that is a table on ``ref``, by its name as given."""
        with self.on(ref) as cursor:
            # A view has no content of its own.
            cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
            there = {row[0].lower() for row in cursor.fetchall()}
            found = [table for table in tables if table.lower() in there]
            if not found:
                return {}
            cursor.execute(f"SELECT {', '.join(['dolt_hashof_table(%s)'] * len(found))}", found)
            return dict(zip(found, cursor.fetchone() or (), strict=True))

    def take_tables(self, tables: Iterable[str], source: str, branch: str) -> None:
        """Put ``tables`` as they are on ``source``, a branch or commit, into the working set of ``branch``.

        A table that is not there on ``source`` is dropped. What ``dolt_ignore`` matches comes along, which
        ``DOLT_CHERRY_PICK`` leaves out without a word.
        """
        tables = sorted(tables)
        with self.on(source) as cursor:
            cursor.execute("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")
            there = {row[0].lower() for row in cursor.fetchall()}
        with self.on(branch, own=True) as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            for table in tables:
                if table.lower() in there or table.startswith("dolt_"):
                    cursor.execute("CALL DOLT_CHECKOUT(%s, '--', %s)", (source, table))
                else:
                    cursor.execute(f"DROP TABLE IF EXISTS {quote(table)}")

    def breaks_constraints(self, branch: str) -> bool:
        """Return whether rows on ``branch`` break a foreign key or another constraint."""
        with self.on(branch) as cursor:
            return bool(_value(cursor, "CALL DOLT_VERIFY_CONSTRAINTS('--all', '--output-only')"))

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the last commit that two branches have in common; None if they have none."""
        with self.on() as cursor:
            return cast("str | None", _value(cursor, "SELECT DOLT_MERGE_BASE(%s, %s)", one, other))

    def contains(self, branch: str, commit: str) -> bool:
        """Return whether ``commit`` is in the history of ``branch``."""
        with self.on(branch) as cursor:
            return bool(_value(cursor, "SELECT COUNT(*) FROM dolt_log WHERE commit_hash = %s", commit))

    def changed_tables(self, old: str, new: str) -> set[str]:
        """Return the tables that differ between two commits or branches, without the journal's."""
        with self.on() as cursor:
            return _changed_tables(cursor, old, new)

    def changes(self, old: str, new: str) -> list[TableChange]:
        """Return how many rows of each table differ between two commits, without the journal's."""
        return self.changes_of([(old, new)])[0]

    def changes_of(self, pairs: Iterable[tuple[str, str]]) -> list[list[TableChange]]:
        """Return what :meth:`changes` gives for each of several pairs of commits."""
        with self.on() as cursor:
            return [_changes(cursor, old, new) for old, new in pairs]

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """Let one run at a time, of whatever process, work on ``what``.

        Raises:
            DoltError: another one has been at it for too long.
        """
        name = lock_name(self.database, what)
        with self.on() as cursor:
            if _value(cursor, "SELECT GET_LOCK(%s, %s)", name, LOCK_TIMEOUT) != 1:
                raise DoltError(f"Another run has been working on {what} for {LOCK_TIMEOUT} s: run again.")
            try:
                yield
            finally:
                cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))

    def is_free(self, what: str) -> bool:
        """Return whether nobody works on ``what`` and holds the lock of that name."""
        with self.on() as cursor:
            name = lock_name(self.database, what)
            return bool(_value(cursor, "SELECT IS_FREE_LOCK(%s)", name))


def _close(connection: pymysql.Connection[Cursor]) -> None:
    # One that is broken is closed already.
    if connection.open:
        connection.close()


def _commit(cursor: Cursor, message: str, author: str, *, verify: bool) -> str:
    skip = "" if verify else ", '--skip-verification'"
    return str(_value(cursor, f"CALL DOLT_COMMIT('-m', %s, '--author', %s{skip})", message, author))


def _uncommitted(cursor: Cursor, ignored: bool) -> list[str]:
    cursor.execute("SELECT DISTINCT table_name, ignored, status = 'renamed' FROM dolt_status_ignored")
    found = cursor.fetchall()
    names = {name for name, is_ignored, renamed in found if not renamed and (ignored or not is_ignored)}
    if any(renamed for _, _, renamed in found):
        # Of a renamed table the status has both names in one text.
        cursor.execute(
            "SELECT from_table_name, to_table_name FROM dolt_diff_summary('HEAD', 'WORKING') "
            "WHERE diff_type = 'renamed'"
        )
        names = names.union(*cursor.fetchall())
    return sorted(names)


def lock_name(database: str, what: str) -> str:
    """Return the name of a lock; a server has one set of them for all its databases."""
    # It has at most 64 characters; a branch's may have more.
    return "kedro-dolt:" + hashlib.sha256(f"{database}/{what}".encode()).hexdigest()[:32]


def changed_names(cursor: Cursor, old: str, new: str) -> set[tuple[str, str]]:
    """Return the old and new names of the tables that differ, those of the journal included.

    Args:
        cursor: a cursor on any branch.
        old: a commit, a branch, ``HEAD`` or ``WORKING``.
        new: the other.

    Returns:
        Pairs of names; that of a table that is not there is empty.
    """
    # The summary leaves out tables whose primary key has changed.
    cursor.execute(
        "SELECT from_table_name, to_table_name FROM dolt_diff_summary(%s, %s) "
        "UNION SELECT from_table_name, to_table_name FROM dolt_schema_diff(%s, %s)",
        (old, new, old, new),
    )
    return set(cursor.fetchall())


def _changed_tables(cursor: Cursor, old: str, new: str) -> set[str]:
    if old == new:
        return set()
    return {name for names in changed_names(cursor, old, new) for name in names if name} - JOURNAL_TABLES


def _changes(cursor: Cursor, old: str, new: str) -> list[TableChange]:
    pairs = changed_names(cursor, old, new) if old != new else set()
    if not (tables := {name for names in pairs for name in names if name} - JOURNAL_TABLES):
        return []
    cursor.execute(
        "SELECT table_name, rows_added, rows_deleted, rows_modified FROM dolt_diff_stat(%s, %s)", (old, new)
    )
    # Of a table without a key nothing is ever modified, which Dolt says as NULL.
    counted = {
        name: TableChange(name, added or 0, removed or 0, modified or 0)
        for name, added, removed, modified in cursor.fetchall()
    }
    dropped = {before for before, after in pairs if not after}
    return [
        TableChange(name, 0, 0, 0, dropped=True)
        if name in dropped
        else counted.get(name, TableChange(name, 0, 0, 0))
        for name in sorted(tables)
    ]


def _value(cursor: Cursor, statement: str, *args: object) -> Any:
    cursor.execute(statement, args or None)
    row = cursor.fetchone()
    while cursor.nextset():
        pass
    assert row is not None, statement
    return row[0]


@contextmanager
def dolt_errors() -> Iterator[None]:
    """Turn what Dolt answers, and a server that went away, into one error of ours.

    Raises:
        DoltError: in the place of PyMySQL's.
    """
    try:
        yield
    except pymysql.err.Error as error:
        raise answers.plain(error) from error
