"""``kedro dolt prune``: what runs have left, and the disk that it takes."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from ..catalog.project import Project
from ..terminal import echo
from .project import Command, in_project

if TYPE_CHECKING:
    from ..run.prune import Pruned


def _age(ctx: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,5})([dhw])", value)
    if not match:
        raise click.BadParameter(f"{value} is not an age, such as 90d, 12h or 4w.", param=parameter)
    hours = {"h": 1, "d": 24, "w": 168}[match[2]]
    return timedelta(hours=int(match[1]) * hours)


@click.command(cls=Command)
@click.option(
    "--keep", metavar="N", type=click.IntRange(min=0), default=None,
    help="Keep the latest N of either kind.  [default: 10, or 0 with --older-than]",
)  # fmt: skip
@click.option(
    "--older-than", metavar="AGE", default=None, callback=_age, help="Only what is older: 90d, 12h."
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@in_project
def prune(project: Project, keep: int | None, older_than: timedelta | None, dry_run: bool) -> None:
    """Delete what unpublished runs and reruns have left, and give its disk space back.

    That is the branches kedro/<run id> of runs that were not published, and rerun/<run id> of `kedro dolt
    rerun`; then Dolt collects all that no branch and no tag reaches. Published and tagged data stays, and so
    does a branch with edits or commits of yours. Nobody else may use the server meanwhile.

    Example: kedro dolt prune --older-than 90d --dry-run
    """
    from ..dolt.repository import dolt_errors
    from ..run.prune import prune as delete
    from ..run.record_store import records_of

    database, server = project.own_database("prune")
    lease = server.acquire(f"prune-{os.getpid()}")
    try:
        with dolt_errors():
            repository = database.repository(lease.address)
            arguments = (
                repository,
                records_of(server, lease.address),
                server.is_leased,
                database.project_path,
            )
            if dry_run:
                _tell(delete(*arguments, keep=keep, older_than=older_than, dry_run=True), dry_run)
                return
            with server.alone(lease) as garbage:
                _tell(delete(*arguments, keep=keep, older_than=older_than), dry_run)
                done = garbage.collect(lease.address, full=True)
    finally:
        lease.release()
    freed = max(0, done.before - done.after)
    echo(
        f"Collected in {done.seconds:.1f} s: {_megabytes(freed)} MB freed, "
        f"{_megabytes(done.after)} MB are used."
    )


def _tell(pruned: Pruned, dry_run: bool) -> None:
    for leftover in pruned.leftovers:
        about = f"{leftover.branch}, {leftover.what}, {leftover.date:%Y-%m-%d %H:%M} UTC"
        if leftover.spared:
            echo(f"Kept {about}: {leftover.spared}.")
        else:
            echo(f"{'Would delete' if dry_run else 'Deleted'} {about}.")
    if not any(leftover.spared is None for leftover in pruned.leftovers):
        echo("There is no branch to delete." if dry_run else "No branch was deleted.")
    if pruned.latest:
        echo(f"Kept {_branches(pruned.latest)}: --keep spares the latest {pruned.keep} of either kind.")
    if pruned.young:
        echo(f"Kept {_branches(pruned.young)}: not older than --older-than says.")


def _branches(number: int) -> str:
    return f"{number} branch{'es' if number > 1 else ''}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f}"
