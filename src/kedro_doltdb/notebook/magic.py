"""``%load_ext kedro_doltdb``: SQL in a cell, ``%%dolt``, or in a line, ``%dolt``, that gives a frame."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import DoltError
from .data import DoltData, open

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

_opened: DoltData | None = None


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Add the magics; IPython calls this for ``%load_ext``."""
    from IPython.core.error import UsageError
    from IPython.core.magic import no_var_expand

    def dolt(line: str, cell: str | None = None) -> pd.DataFrame:
        """Send a query to the Dolt data of the project that the current directory is in.

        ``%dolt SELECT ...`` or, with the query in the lines below, ``%%dolt``. ``--at REF`` before the query
        asks as of a run, commit, tag or branch. ``kedro_doltdb.open().sql(query, params)`` takes values.
        """
        try:
            return _ask(line, cell)
        except DoltError as error:
            # It says all that there is to say: no traceback.
            raise UsageError(error.message) from None

    # A dollar sign or a brace in SQL is none of Python's.
    ipython.register_magic_function(no_var_expand(dolt), "line_cell", "dolt")


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Leave the server; IPython calls this for ``%unload_ext`` and ``%reload_ext``."""
    global _opened
    if _opened is not None:
        _opened.close()
        _opened = None


def _ask(line: str, cell: str | None) -> pd.DataFrame:
    global _opened
    match = re.fullmatch(r"\s*(?:--at(?:\s+|=)(\S+))?(.*)", line, re.DOTALL)
    assert match is not None
    at, rest = match.groups()
    if _opened is None:
        _opened = open()
    return _opened.sql(rest if cell is None else f"{rest}\n{cell}", at=at)
