"""How sections, listings and trees are printed: for a terminal, a pipe, a Markdown page, a program.

What is printed here may come from anybody: all of it goes through ``printable`` on its way out.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ..terminal import echo, echo_fields, printable, results
from .layout import GAP, QUIET, STRONG, fitted, header_lines, parts_of, width_of, width_under

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .layout import Branch, Cell, Data, Listing, Section

# A width that nothing is cut to.
WIDEST = 100_000
_NUMBER = r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?"


def _console(wide: bool = False) -> Console:
    """Return standard output; in a pipe, or with ``wide``, as wide as its lines are."""
    from rich.console import Console

    file = results()
    width = None if file.isatty() and not wide else WIDEST
    return Console(file=file, highlight=False, emoji=False, width=width)


def width() -> int:
    """Return how many columns standard output has; as many as anybody needs, if it is no terminal."""
    return _console().width


def _text(cell: Cell, style: str = "") -> Text:
    from rich.text import Text

    parts = [Text(printable(text), style=style_of) for text, style_of in parts_of(cell)]
    return Text.assemble(*parts, style=style)


def print_tree(tree: Branch) -> None:
    """Print a tree."""
    from rich.tree import Tree

    root = Tree(_text(tree.label))
    growing = [(tree, root)]
    while growing:
        branch, parent = growing.pop()
        growing += [(inner, parent.add(_text(inner.label))) for inner in branch.branches]
    _console().print(root)


def print_sections(sections: Iterable[Section]) -> None:
    """Print sections as aligned columns."""
    out = _console()
    for number, section in enumerate(sections):
        if number:
            out.print()
        if section.title:
            out.print(_text(section.title, STRONG))
        natural = _natural_widths(section)
        if section.narrow and sum(natural) + GAP * (len(natural) - 1) > out.width:
            section = section.narrow
            natural = _natural_widths(section)
        if section.rows:
            widths = natural if section.folds else fitted(natural, out.width)
            table = _table()
            for position, size in enumerate(widths):
                header = section.headers[position] if any(section.headers) else ""
                table.add_column(
                    _text(header, QUIET), overflow="fold" if section.folds else "ellipsis",
                    width=None if section.folds else size, no_wrap=not section.folds,
                )  # fmt: skip
            table.show_header = any(section.headers)
            for row in section.rows:
                table.add_row(*map(_text, row))
            out.print(table)
        if section.note:
            out.print(_text(section.note, QUIET))


def _natural_widths(section: Section) -> list[int]:
    rows = [section.headers, *section.rows] if any(section.headers) else section.rows
    return [max(map(width_of, column)) for column in zip(*rows, strict=True)]


def _table() -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="")


def print_listing(listing: Listing, *, wide: bool = False) -> None:
    """Print one line a thing: as many columns as fit; in a pipe all of them, tab-separated.

    Args:
        listing: what to print.
        wide: print all columns, however long the lines are.
    """
    if not results().isatty() and not wide:
        print_delimited(listing.data, "\t")
        return
    out = _console(wide)
    columns, left_out = listing.within(out.width)
    table = _table()
    for column in columns:
        size = width_under(column)
        lines = header_lines(column.header, max(map(width_of, column.cells), default=0))
        table.add_column(
            _folded(lines), width=size, no_wrap=True, vertical="bottom",
            justify="right" if column.right else "left",
        )  # fmt: skip
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(_text, row))
    out.print(table)
    notes = list(listing.notes)
    if left_out:
        columns_left = "1 more column" if len(left_out) == 1 else f"{len(left_out)} more columns"
        notes.append(f"{columns_left}{listing.more}: {', '.join(left_out)}")
    for note in notes:
        _console().print(_text(note, QUIET), overflow="ellipsis", no_wrap=True)


def _folded(lines: Sequence[str]) -> Text:
    from rich.text import Text

    return Text("\n".join(map(printable, lines)), style=QUIET)


def print_delimited(data: Data, delimiter: str) -> None:
    """Print a table with a header: tab-separated, or as CSV for a spreadsheet.

    Line breaks and tabs in values are written out. In CSV a text that a spreadsheet would compute has an
    apostrophe before it.
    """
    rows = [data.headers, *data.rows]
    if delimiter == "\t":
        echo_fields(map(_field, row) for row in rows)
        return
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_csv_field(value) for value in row] for row in rows)
    echo(text.getvalue().removesuffix("\n"))


def _field(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return "" if value is None else printable(value)


def _csv_field(value: object) -> str:
    return spreadsheet_text(value) if isinstance(value, str) else _field(value)


def spreadsheet_text(value: object) -> str:
    """Return a value as text on one line, an apostrophe before what a spreadsheet would compute."""
    text = _field(value)
    return f"'{text}" if isinstance(value, str) and re.match(r"[=+\-@]", text) else text


def print_markdown(sections: Iterable[Section]) -> None:
    """Print sections as GitHub-flavoured Markdown."""
    lines: list[str] = []
    for section in sections:
        if section.title:
            lines += [f"### {_markdown(str(section.title))}", ""]
        if section.rows:
            lines.append(_markdown_row(section.headers))
            lines.append(_markdown_row(["---"] * len(section.headers), escape=False))
            lines += [_markdown_row(str(cell).strip() for cell in row) for row in section.rows]
            lines.append("")
        if section.note:
            lines += [_markdown(str(section.note)), ""]
    echo("\n".join(lines).rstrip())


def _markdown_row(cells: Iterable[str], escape: bool = True) -> str:
    return "| " + " | ".join(_markdown(cell) if escape else cell for cell in cells) + " |"


def _markdown(text: str) -> str:
    text = re.sub(r"([\\`*_{}\[\]<>|#~&!$])", r"\\\1", printable(text))
    # A spreadsheet would compute what begins so, and GitHub would call whom an @ names.
    return re.sub(rf"^(?=[=+-].)(?!{_NUMBER}$)|(?=@)", r"\\", text)


def print_json(value: Any) -> None:
    """Print ``value`` as one line of JSON: times in ISO 8601, bytes in hexadecimal, other types as text."""
    text = json.dumps(value, ensure_ascii=False, default=_jsonable)
    echo("".join(character if character.isprintable() else _json_escape(character) for character in text))


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
