"""``kedro dolt report``: a review of two runs as one HTML file."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import click

from ..errors import DoltError
from ..terminal import echo
from .files import usual_mode
from .project import Command, Project, in_project, note_uncommitted


@click.command(cls=Command)
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option(
    "--output", "-o", metavar="FILE", type=click.Path(path_type=Path), default="report.html",
    show_default=True, help="The HTML file; an earlier report is replaced.",
)  # fmt: skip
@click.option("--table", "-t", "tables", multiple=True, help="Only this table; more than once for several.")
@in_project
def report(project: Project, old: str | None, new: str | None, output: Path, tables: tuple[str, ...]) -> None:
    """Write a page on which two runs can be reviewed.

    It has the checks, the parameters, the metrics, the code, the pipeline as a picture, and of each table
    that differs the schema, the distribution of what changed and the rows, to sort and to search. It is one
    file that needs no network. OLD and NEW are as for `kedro dolt compare`.

    Example: kedro dolt report main experiment --output review.html
    """
    from ..journal.store import now
    from ..queries.compare import compare
    from ..queries.review import review, review_points
    from ..report.page import BEGINNING, page

    _check_output(output, BEGINNING)
    with project.serving() as (database, repository):
        points = review_points(repository, old, new)
        comparison = compare(
            repository, *points, database.settings.metrics, project.metadata.project_path,
            only=tables or None, limit=0,
        )  # fmt: skip
        found = review(repository, comparison)
        note_uncommitted(repository)
    _write(output, page(found, now(), " ".join(point.commit[:10] for point in points)))
    echo(str(output))


def _check_output(path: Path, beginning: str) -> None:
    if not path.exists() and not path.is_symlink():
        return
    start = b""
    with suppress(OSError), open(path, "rb") as file:
        start = file.read(len(beginning))
    if start != beginning.encode():
        raise DoltError(f"{path} is there and is no report: name another file, --output <file>.")


def _write(path: Path, html: str) -> None:
    """Write the page whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(prefix=f".{path.name[:100]}-", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(html)
            usual_mode(Path(made), 0o666)
            os.replace(made, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(made)
            raise
    except OSError as error:
        raise DoltError(f"{path} cannot be written to: {error.strerror or error}.") from error
