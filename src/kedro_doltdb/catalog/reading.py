"""A project's database for those who begin no run, so that nothing they do is written past one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .credentials import Database

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor


class ReadingDatabase(Database):
    """The database as it is committed: each connection is on the last commit, which can only be read."""

    def __call__(self) -> pymysql.Connection[Cursor]:
        """Open a connection for a dataset, on the last commit of the branch checked out in ``data/``.

        Raises:
            ServerError: no server could be started, or it does not answer.
            DoltError: it refuses.
        """
        connection = super().__call__()
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT hashof('HEAD')")
            [commit] = cursor.fetchone() or ()
        return self.get_address().connect(str(commit))
