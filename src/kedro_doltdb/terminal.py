"""The one way out to the terminal: what others wrote is never obeyed by it, and results stay apart from logs.

Names, messages and values come from whoever wrote to the repository. Every error, log line and result of this
package goes through :func:`printable`; no other module writes to the terminal.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

_results: TextIO | None = None


def printable(text: object, *, lines: bool = False) -> str:
    """Return ``text`` with every character that a terminal could obey, or that cannot be seen, written out.

    Args:
        text: what to show.
        lines: whether line breaks are ours and stay.
    """
    return "".join(
        character
        if character.isprintable() or (lines and character == "\n")
        else character.encode("unicode_escape").decode()
        for character in str(text)
    )


def first_of(names: Sequence[str], most: int) -> str:
    """Return names in a row, the first ``most`` of them and how many more there are.

    Example:
        >>> first_of(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def echo(text: str, *, err: bool = False, warning: bool = False) -> None:
    """Print a text of ours as a result, or on standard error; line breaks in it are kept."""
    import click

    text = printable(text, lines=True)
    click.echo(click.style(text, fg="yellow") if warning else text, file=sys.stderr if err else results())


def echo_fields(rows: Iterable[Iterable[object]]) -> None:
    """Print rows of fields as results, tab-separated; tabs and line breaks in fields are written out."""
    import click

    text = "".join("\t".join(map(printable, row)) + "\n" for row in rows)
    click.echo(text, file=results(), nl=False)


def results() -> TextIO:
    """Return where the results of commands go: standard output, also inside :func:`results_alone`."""
    return _results or sys.stdout


@contextmanager
def results_alone() -> Iterator[None]:
    """Keep standard output for the results of a command: what else is written there goes to standard error.

    Kedro's logging, other plugins, nodes and child processes write to standard output as they are set up to.
    """
    global _results
    if _results is not None:
        yield
        return
    sys.stdout.flush()
    try:
        if sys.stdout.fileno() != 1:
            raise OSError
        saved = os.dup(1)
        os.dup2(2, 1)
    except (OSError, ValueError, AttributeError):
        # A notebook or a test has put something else in its place.
        _results = sys.stdout
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            _results = None
        return
    _results = os.fdopen(saved, "w", encoding=sys.stdout.encoding, errors="backslashreplace", closefd=False)
    try:
        yield
        _results.flush()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os.dup2(saved, 1)
        # Whoever read the results may have gone, and closing would try to write the rest again.
        with suppress(OSError):
            _results.close()
        os.close(saved)
        _results = None


class _Printable(logging.Filter):
    """Makes a record of what others wrote safe to print, whatever its handler is."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_argument, record.args))
        record.msg = printable(record.msg, lines=True)
        # Kedro's handler would take square brackets in names for colours, or stumble over them.
        record.markup = False
        return True


def _argument(value: Any) -> Any:
    return value if isinstance(value, int | float) else printable(value)


def get_logger(name: str) -> logging.Logger:
    """Return the logger ``name``, whose messages are :func:`printable`.

    Example:
        >>> get_logger("my_project.hooks").name
        'my_project.hooks'
    """
    logger = logging.getLogger(name)
    if not any(isinstance(known, _Printable) for known in logger.filters):
        logger.addFilter(_Printable())
    return logger


# It stands alone, for the generation hooks.
get_logger(f"{__package__}.dolt_cli")
