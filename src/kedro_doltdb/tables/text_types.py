"""Which SQL type a column of text or bytes gets, the same for every way to save a frame.

Dolt 1 keeps each value of a LONGTEXT in a chunk of its own, which makes such a column many times slower to
write and to read than a VARCHAR.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .encoding import Column

SHORT_TEXT = 255
# A length that followed the longest value would change the schema from run to run.
KEY_LENGTHS = (255, 1023, 4095)
_MAX_ROW_BYTES = 65_503
# Dolt allows a row 65,503 bytes, at four bytes a character: this leaves room for a key and for other columns.
_MAX_SHORT_TEXTS = 40


def text_type(longest: int, *, binary: bool, is_key: bool, stands: str = "") -> str:
    """Return the type for values of that length.

    Args:
        longest: the characters of the longest text, or the bytes of the longest binary value.
        binary: whether the values are bytes.
        is_key: whether the column is part of the primary key.
        stands: the type that the column has now: one that is long enough is kept, so that the schema does not
            change with the data.

    Example:
        >>> text_type(7, binary=False, is_key=False)
        'varchar(255)'
        >>> text_type(7, binary=False, is_key=False, stands="longtext")
        'longtext'
    """
    if is_key:
        kind = "varbinary" if binary else "varchar"
        # What is too long for any key is refused with its values, later.
        choices = [f"{kind}({length})" for length in KEY_LENGTHS if length >= longest]
        choices = choices or [f"{kind}({KEY_LENGTHS[-1]})"]
    elif binary:
        choices = ["longblob"]
    else:
        choices = [f"varchar({SHORT_TEXT})", "longtext"] if longest <= SHORT_TEXT else ["longtext"]
    return stands if stands in choices else choices[0]


def within_a_row(columns: Mapping[str, Column], chosen: Collection[str]) -> dict[str, Column]:
    """Return the columns with short texts, or, if a row could not hold all of them, with long ones.

    Args:
        columns: the columns of a table by name.
        chosen: those whose type :func:`text_type` has chosen.
    """
    short = [name for name in chosen if columns[name].type == f"varchar({SHORT_TEXT})"]
    size = sum(_bytes(column.type) for column in columns.values())
    if len(short) <= _MAX_SHORT_TEXTS and size <= _MAX_ROW_BYTES:
        return dict(columns)
    return {**columns, **{name: Column(name, "longtext") for name in short}}


def _bytes(column_type: str) -> int:
    """Return what Dolt counts for a column when it adds up how long a row can become."""
    match = re.match(r"(\w+)(?:\((\d+))?", column_type)
    assert match, column_type
    name, length = match[1], int(match[2] or 0)
    if name in ("varchar", "char"):
        return 4 * length
    if name in ("varbinary", "binary", "decimal"):
        return length
    return {"time": 16, "json": 20}.get(name, 20 if name.endswith(("text", "blob")) else 8)
