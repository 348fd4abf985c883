"""How titled tables and single values are printed: for a terminal, a pipe, a Markdown page, a program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# Nobody reads more of a cell; JSON output has all of it.
_LONGEST = 200
_WIDEST = 100_000


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


def console() -> Console:
    """Standard output; in a pipe without colours, and as wide as its lines are."""
    import sys

    from rich.console import Console

    return Console(
        soft_wrap=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else _WIDEST
    )


def print_sections(sections: Iterable[Section]) -> None:
    """Print sections as aligned columns."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    for number, section in enumerate(sections):
        if number:
            out.print()
        if section.title:
            out.print(Text(section.title, style="bold"))
        table = Table(box=None, pad_edge=False, show_header=any(section.headers), padding=(0, 2, 0, 0))
        for header in section.headers:
            table.add_column(Text(header, style="dim"), overflow="fold")
        for row in section.rows:
            table.add_row(*map(Text, row))
        too_wide = out.measure(table, options=out.options.update(max_width=_WIDEST)).maximum > out.width
        if section.headline and too_wide:
            _print_records(out, section, section.headline)
        elif section.rows:
            out.print(table)
        if section.note:
            out.print(Text(section.note))


def _print_records(out: Console, section: Section, headline: int) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for row in section.rows:
        out.print(Text.assemble((row[0], "bold"), *(f"  {cell}" for cell in row[1:headline] if cell != "-")))
        for header, cell in zip(section.headers[headline:], row[headline:], strict=True):
            if cell != "-":
                out.print(Padding(Text.assemble((f"{header}  ", "dim"), cell), (0, 0, 0, 4)))


def to_markdown(sections: Iterable[Section]) -> str:
    """Sections as GitHub-flavoured Markdown."""
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
    return "\n".join(lines).rstrip()


def _markdown_row(cells: Iterable[str], escape: bool = True) -> str:
    return "| " + " | ".join(_markdown(cell) if escape else cell for cell in cells) + " |"


def _markdown(text: str) -> str:
    for character in "\\`*_{}[]<>|#~":
        text = text.replace(character, "\\" + character)
    return text


def to_json(value: Any) -> str:
    """``value`` as one line of JSON, with times in ISO 8601, bytes in hexadecimal and other types as text.

    Kedro logs to standard output before any command runs: ``tail -n 1`` leaves the JSON alone.
    """
    return json.dumps(value, ensure_ascii=False, default=_jsonable)


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def shown(value: Any) -> str:
    """A value of a cell or parameter as one short line, without characters that a terminal would obey."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        text = f"0x{value.hex()}"
    elif isinstance(value, str):
        text = value
    elif isinstance(value, Mapping | list | bool):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    text = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def number(value: float | None) -> str:
    """A metric with six significant digits; a dash for none."""
    return "-" if value is None else f"{value:.6g}"


def local_time(time: datetime | None) -> str:
    """A time of the journal in the reader's time zone; a dash for none."""
    return f"{time.replace(tzinfo=timezone.utc).astimezone():%Y-%m-%d %H:%M:%S}" if time else "-"
