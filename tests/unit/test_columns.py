"""What is sent of a table is made of a few MB at a time, however wide its rows are."""

from __future__ import annotations

import pyarrow as pa
import pytest

from kedro_doltdb.tables.columns import TEXT, ArrowRows

PIECE = 1 << 23


@pytest.mark.parametrize(
    ("columns", "rows", "value"), [(1500, 4000, 1234), (2, 4000, "long " * 1000)], ids=["wide", "long texts"]
)
def test_a_piece_of_what_is_sent_is_small_beside_the_table(columns: int, rows: int, value: object) -> None:
    values = pa.chunked_array([pa.array([value] * rows, TEXT if isinstance(value, str) else pa.int64())])
    pieces = [len(piece) for piece in ArrowRows([], [values] * columns).lines()]
    assert sum(pieces) == rows * columns * (len(str(value)) + 1)
    assert max(pieces) < PIECE < sum(pieces) / 2


def test_a_table_without_rows_or_with_nothing_but_missing_values_is_sent() -> None:
    for rows in (0, 3):
        empty = pa.chunked_array([pa.array([None] * rows, pa.int64())])
        assert b"".join(bytes(piece) for piece in ArrowRows([], [empty]).lines()).count(b"NULL") == rows
