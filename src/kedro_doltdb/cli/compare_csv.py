"""What ``kedro dolt compare --csv`` writes: a file for each table, with all rows that differ."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dolt.names import free_name
from ..errors import DoltError
from ..queries.compare import streamed_rows
from .files import usual_mode
from .render import spreadsheet_text

if TYPE_CHECKING:
    from ..dolt.repository import Repository
    from ..dolt.row_diff import RowChange
    from ..queries.compare import Comparison, TableDiff


def write_csv(repository: Repository, comparison: Comparison, directory: Path) -> list[str]:
    """Write a comparison as CSV files, all of them or none.

    NULL is an empty field, and every text is in quotation marks, so that an empty text is ``""``. A text that
    a spreadsheet would compute has an apostrophe before it, and line breaks are written out.

    Args:
        repository: where the rows are.
        comparison: what was found.
        directory: where to; it is made, or empty.

    Returns:
        The names of the files.

    Raises:
        DoltError: the directory holds something already, or cannot be written to.
    """
    try:
        if directory.is_symlink() or (directory.exists() and any(directory.iterdir())):
            raise DoltError(f"{directory} holds something already: name a new directory, --csv <directory>.")
        directory.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            names = _write(repository, comparison, made)
            usual_mode(made, 0o777)
            if directory.exists():
                directory.rmdir()
            made.rename(directory)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise DoltError(f"{directory} cannot be written to: {error.strerror or error}.") from error
    return names


def _write(repository: Repository, comparison: Comparison, directory: Path) -> list[str]:
    pairs = (("params", "parameter", comparison.params), ("metrics", "metric", comparison.metrics))
    for name, header, values in pairs:
        rows = ([key, *_texts(both)] for key, both in values.items())
        _write_file(directory / f"{name}.csv", [header, "old", "new"], rows)
    files: dict[str, str] = {}
    taken = {"params", "metrics", "tables"}
    for table in comparison.tables:
        if table.change.dropped or not table.comparable:
            continue
        # A name may hold anything, and some file systems do not tell A from a.
        stem = free_name(re.sub(r"[^\w.-]|^\.", "_", table.change.table, flags=re.ASCII).lower(), taken)
        taken.add(stem)
        files[table.change.table] = f"{stem}.csv"
        with streamed_rows(repository, comparison, table) as changed:
            _write_rows(directory / f"{stem}.csv", table, changed)
    columns = ["table", "added", "removed", "modified", "schema", "old_rows", "new_rows", "file"]
    _write_file(directory / "tables.csv", columns, (_table(each, files) for each in comparison.tables))
    return ["params.csv", "metrics.csv", "tables.csv", *files.values()]


def _texts(values: Iterable[Any]) -> list[Any]:
    """Return parameters as they stand in a field: lists and mappings as text."""
    return [value if value is None or isinstance(value, int | float) else str(value) for value in values]


def _table(table: TableDiff, files: dict[str, str]) -> list[Any]:
    change = table.change
    return [
        change.table, change.added, change.removed, change.modified, table.schema_word,
        table.old_count, table.new_count, files.get(change.table),
    ]  # fmt: skip


def _write_rows(path: Path, table: TableDiff, changed: Iterator[RowChange]) -> None:
    names = [name for name in table.columns if name not in table.keys]
    header = ["diff_type", *table.keys, *(f"{side}_{name}" for name in names for side in ("old", "new"))]

    def fields(row: RowChange) -> list[Any]:
        pairs = (row.cells.get(name) or (row.same.get(name),) * 2 for name in names)
        return [row.kind, *(row.key[key] for key in table.keys), *(value for pair in pairs for value in pair)]

    _write_file(path, header, map(fields, changed))


def _write_file(path: Path, header: list[str], rows: Iterable[list[Any]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        for row in chain([header], rows):
            file.write(",".join(map(_field, row)) + "\n")


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float | Decimal):
        return str(value)
    text = f"0x{value.hex()}" if isinstance(value, bytes) else spreadsheet_text(value)
    return '"' + text.replace('"', '""') + '"'
