"""What PyMySQL has no public name for, beside ``local_infile.py``: rows on the wire, a connection's socket.

PyMySQL sends the query and reads the columns' descriptions; the rows are then taken from its socket.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

_BLOCK = 1 << 24
_LARGEST_PACKET = 0xFFFFFF
_END, _ERROR = 0xFE, 0xFF


def row_blocks(connection: pymysql.Connection[Cursor], query: str) -> Iterator[tuple[bytearray, list[int]]]:
    """Run a query, and return an iterator over its rows: blocks of bytes, and where in them each row begins.

    Args:
        connection: a connection on which nothing else is done until all rows have been read; or it is closed.
        query: the query.

    Raises:
        pymysql.err.Error: Dolt refused the query, or it went away.
    """
    from pymysql.cursors import SSCursor

    cursor: Any = connection.cursor(SSCursor)
    cursor.execute(query)
    result = cursor._result
    # PyMySQL is to wait for no rows: either all have been read here, or the connection is closed.
    result.unbuffered_active, result.connection = False, None
    return _blocks(cursor)


def _blocks(cursor: Any) -> Iterator[tuple[bytearray, list[int]]]:
    """Return the rows as they are on the wire: blocks of bytes, and where in them each row begins."""
    from pymysql.constants import CR
    from pymysql.err import OperationalError, raise_mysql_exception

    # A cursor that is let go of looks for further results.
    connection = cursor.connection
    data, starts, position = bytearray(), [], 0

    def receive(size: int) -> None:
        while len(data) < size:
            received = connection._rfile.read1(_BLOCK)
            if not received:
                raise OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query")
            data.extend(received)

    while True:
        # The loop runs once a row: so it looks itself whether there is anything to receive.
        if len(data) < position + 5:
            receive(position + 5)
        start = position + 4
        size = data[position] | data[position + 1] << 8 | data[position + 2] << 16
        end = start + size
        if len(data) < end:
            receive(end)
        if data[start] >= _END:
            if data[start] == _ERROR:
                raise_mysql_exception(bytes(data[start:end]))
            if size < 9:
                break
        while size == _LARGEST_PACKET:
            # The row goes on in another packet.
            receive(end + 4)
            size = data[end] | data[end + 1] << 8 | data[end + 2] << 16
            del data[end : end + 4]
            end += size
            receive(end)
        starts.append(start)
        position = end
        if position >= _BLOCK:
            rest = data[position:]
            del data[position:]
            yield data, starts
            data, starts, position = rest, [], 0
    if starts:
        yield data, starts


def cut(connection: pymysql.Connection[Cursor]) -> None:
    """End a connection that another thread may be waiting on: that gets the driver's error at once."""
    wire: Any = connection
    with suppress(OSError, AttributeError):
        wire._sock.shutdown(socket.SHUT_RDWR)


def close_in_child(connection: pymysql.Connection[Cursor]) -> None:
    """Close a forked child's copy of its parent's connection, without a word to the server."""
    wire: Any = connection
    with suppress(OSError):
        os.close(wire._sock.detach())
