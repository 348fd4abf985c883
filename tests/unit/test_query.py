"""Which statements are sent to be read, and which are refused before Dolt sees them."""

from __future__ import annotations

from typing import Any

import pytest

from kedro_doltdb.dolt.query import read
from kedro_doltdb.errors import QueryError


class Seen(Exception):
    """A statement has come through."""


class Cursor:
    def execute(self, statement: str, parameters: Any = None) -> None:
        raise Seen(statement)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "  \n(SELECT 1) UNION (SELECT 2)",
        "-- who\n# knows\n/* why; DROP TABLE t */ select 1",
        "--\nselect 1",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "show tables",
        "DESCRIBE t",
        "TABLE t",
        "VALUES ROW(1)",
    ],
)
def test_queries_are_sent(query: str) -> None:
    with pytest.raises(Seen, match="START TRANSACTION READ ONLY"):
        read(Cursor(), query)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    [
        "",
        " -- nothing",
        "DROP TABLE t",
        "(DELETE FROM t)",
        "CALL DOLT_RESET('--hard')",
        "/*! DROP TABLE t */",
        "/* a */ /*!50000 DROP TABLE t */ SELECT 1",
        "/* a *//**/TRUNCATE t",
        "--select\nDROP TABLE t",
        "-- a\rDROP TABLE t",
        "SELECTED",
        "COMMIT",
        "SET GLOBAL local_infile = 0",
        "USE `data/main`",
        "; SELECT 1",
    ],
)
def test_what_may_write_is_refused(query: str) -> None:
    with pytest.raises(QueryError, match="Only queries can be sent here"):
        read(Cursor(), query)  # type: ignore[arg-type]
