"""``LOAD DATA LOCAL`` without a file: the rows go from memory to the server.

A server answers such a statement with the name of the file that it wants, and a driver that is allowed to
opens whatever file it is told. Ours never opens one: connections are made with ``local_infile=False`` and
declare the ability alone (``CLIENT.LOCAL_FILES``), and what the one statement below is answered with is the
rows, whatever was asked for. The exchange is described at
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_local_infile_request.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

BLOCK_BYTES = 1 << 20


def load_local(
    connection: pymysql.Connection[Cursor], statement: str, rows: Iterable[bytes | memoryview]
) -> int:
    """Execute a ``LOAD DATA LOCAL INFILE`` statement with the bytes of ``rows`` for a file.

    Args:
        connection: a connection that declares ``CLIENT.LOCAL_FILES``.
        statement: the statement; the file that it names does not matter.
        rows: what the file would hold, in pieces of any size.

    Returns:
        The number of rows that the server says it has loaded.

    Raises:
        pymysql.err.Error: the server refused the statement or a row, or went away.
    """
    from pymysql.constants import COMMAND, CR
    from pymysql.err import OperationalError
    from pymysql.protocol import OKPacketWrapper

    # The driver has no public name for these, and has had these names since its beginnings.
    wire: Any = connection
    wire._execute_command(COMMAND.COM_QUERY, statement)
    answer = wire._read_packet()
    if answer.is_load_local_packet():
        try:
            for block in _blocks(rows):
                wire.write_packet(block)
            wire.write_packet(b"")
        except BaseException:
            # The next statement would be taken for rows, and its answer be waited for in vain.
            wire._force_close()
            raise
        answer = wire._read_packet()
    if not answer.is_ok_packet():
        raise OperationalError(CR.CR_COMMANDS_OUT_OF_SYNC, "Commands Out of Sync")
    return int(OKPacketWrapper(answer).affected_rows)


def _blocks(rows: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Yield the same bytes in pieces that a packet holds: a few large ones are sent quicker."""
    pieces: list[bytes | memoryview] = []
    size = 0
    for row in rows:
        pieces.append(row)
        size += len(row)
        if size >= BLOCK_BYTES:
            joined = b"".join(pieces)
            for start in range(0, len(joined), BLOCK_BYTES):
                yield joined[start : start + BLOCK_BYTES]
            pieces, size = [], 0
    if size:
        yield b"".join(pieces)
