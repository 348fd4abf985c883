"""How titled tables, trees and single values are printed: for a terminal, a pipe, a Markdown page, a program.

What is printed here may come from anybody: all of it goes through ``printable`` on its way out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

from ..terminal import echo, printable, results

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Nobody reads more of a cell; JSON output has all of it.
_LONGEST = 200
_WIDEST = 100_000
_NUMBER = r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?"


@dataclass(frozen=True)
class Section:
    """A titled table of texts.

    Attributes:
        title: its title; empty for none.
        headers: the columns' titles; empty for none.
        rows: a text for each column.
        note: a line below.
        headline: of rows that are too wide for the terminal, how many cells go to a first line; each of
            the others gets a line of its own then. None: cells are folded.
    """

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    headline: int | None = None


@dataclass(frozen=True)
class Branch:
    """A node of a tree.

    Attributes:
        label: its text.
        branches: those that grow from it.
    """

    label: str
    branches: Sequence[Branch] = ()


def _console() -> Console:
    """Return standard output; in a pipe without colours, and as wide as its lines are."""
    from rich.console import Console

    file = results()
    width = None if file.isatty() else _WIDEST
    return Console(file=file, soft_wrap=False, highlight=False, emoji=False, width=width)


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(printable(text), style=style)


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
    from rich.table import Table

    out = _console()
    for number, section in enumerate(sections):
        if number:
            out.print()
        if section.title:
            out.print(_text(section.title, "bold"))
        table = Table(box=None, pad_edge=False, show_header=any(section.headers), padding=(0, 2, 0, 0))
        for header in section.headers:
            table.add_column(_text(header, "dim"), overflow="fold")
        for row in section.rows:
            table.add_row(*map(_text, row))
        too_wide = out.measure(table, options=out.options.update(max_width=_WIDEST)).maximum > out.width
        if section.headline and too_wide:
            _print_records(out, section, section.headline)
        elif section.rows:
            out.print(table)
        if section.note:
            out.print(_text(section.note))


def _print_records(out: Console, section: Section, headline: int) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for row in section.rows:
        rest = [_text(f"  {cell}") for cell in row[1:headline] if cell != "-"]
        out.print(Text.assemble(_text(row[0], "bold"), *rest))
        for header, cell in zip(section.headers[headline:], row[headline:], strict=True):
            if cell != "-":
                out.print(Padding(Text.assemble(_text(f"{header}  ", "dim"), _text(cell)), (0, 0, 0, 4)))


def print_markdown(sections: Iterable[Section]) -> None:
    """Print sections as GitHub-flavoured Markdown."""
    lines: list[str] = []
    for section in sections:
        if section.title:
            lines += [f"### {_markdown(section.title)}", ""]
        if section.rows:
            lines.append(_markdown_row(section.headers))
            lines.append(_markdown_row(["---"] * len(section.headers), escape=False))
            lines += [_markdown_row(row) for row in section.rows]
            lines.append("")
        if section.note:
            lines += [_markdown(section.note), ""]
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


def shown(value: Any) -> str:
    """Return a value of a cell or parameter as one short text."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        # Of a long one the beginning will do.
        return _shortened(f"0x{value[:_LONGEST].hex()}")
    if isinstance(value, str):
        return _shortened(value)
    if isinstance(value, Mapping | list | bool):
        return _shortened(json.dumps(value, ensure_ascii=False, default=str))
    return _shortened(str(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def number(value: float | None) -> str:
    """A metric with six significant digits; a dash for none."""
    return "-" if value is None else f"{value:.6g}"


def local_time(time: datetime | None) -> str:
    """A time of the journal in the reader's time zone; a dash for none."""
    return f"{time.replace(tzinfo=timezone.utc).astimezone():%Y-%m-%d %H:%M:%S}" if time else "-"
