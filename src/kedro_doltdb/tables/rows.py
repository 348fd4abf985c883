"""Read a table's rows into Arrow columns, many times as fast as a database driver makes Python objects.

They come in large blocks, as they are on the wire, and are cut up by NumPy and Arrow. How MySQL writes rows:
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ..dolt.wire import row_blocks
from .columns import from_text

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

_NULL, _TWO, _THREE, _EIGHT = 0xFB, 0xFC, 0xFD, 0xFE


def read_rows(connection: pymysql.Connection[Cursor], query: str, schema: pa.Schema) -> pa.Table:
    """Run a query and read all of its rows, in the order in which they come.

    Args:
        connection: a connection with the character set utf8mb4; it is closed if this raises, unless it raises
            ArrowInvalid.
        query: a SELECT of as many columns as ``schema`` has.
        schema: the columns' names, and the Arrow types that hold their values exactly.

    Raises:
        pyarrow.ArrowInvalid: a value is not one of its column's Arrow type.
        pymysql.err.Error: Dolt refused the query.
    """
    incoming = row_blocks(connection, query)
    try:
        try:
            blocks = [_record_batch(*block, schema) for block in incoming]
        except pa.ArrowInvalid:
            for _ in incoming:
                pass
            raise
    except pa.ArrowInvalid:
        raise
    except BaseException:
        connection.close()
        raise
    return pa.Table.from_batches(blocks, schema)


def _record_batch(data: bytearray, starts: list[int], schema: pa.Schema) -> pa.RecordBatch:
    block, rows, columns = np.frombuffer(data, np.uint8), len(starts), len(schema)
    position = np.array(starts, np.int64)
    nulls = []
    # Each value, and what lies between it and the next one, as the elements of one array.
    bounds = np.empty((rows, columns, 2), np.int64)
    for column in range(columns):
        lead = block[position]
        nulls.append(lead == _NULL)
        start = position + 1
        length = np.where(lead < _NULL, lead, 0).astype(np.int64)
        for mark, size in ((_TWO, 2), (_THREE, 3), (_EIGHT, 8)):
            if len(marked := np.flatnonzero(lead == mark)):
                for byte in range(size):
                    length[marked] |= block[start[marked] + byte].astype(np.int64) << (8 * byte)
                start[marked] += size
        position = start + length
        bounds[:, column, 0], bounds[:, column, 1] = start, position
    pieces = pa.Array.from_buffers(
        pa.large_binary(), 2 * rows * columns - 1, [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    )
    arrays = []
    for column, field in enumerate(schema):
        indices = np.arange(rows, dtype=np.int64) * (2 * columns) + 2 * column
        values = pieces.take(pa.array(indices, mask=nulls[column]))
        arrays.append(
            values
            if field.type == pa.large_binary()
            else from_text(values.cast(pa.large_string()), field.type)
        )
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
