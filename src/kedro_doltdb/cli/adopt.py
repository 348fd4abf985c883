"""``kedro dolt adopt``: an experiment's result for another branch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from ..catalog.project import Project
from ..terminal import echo
from .project import Command, in_project

if TYPE_CHECKING:
    from ..catalog.credentials import Database
    from ..dolt.repository import Repository


@click.command(cls=Command)
@click.argument("branch")
@click.option("--to", metavar="BRANCH", default=None, help="Bring them to this branch instead.")
@click.option("--rerun", "again", is_flag=True, help="Run them again there, with their parameters.")
@in_project
def adopt(project: Project, branch: str, to: str | None, again: bool) -> None:
    """Bring a branch's runs to the branch checked out.

    If that branch has moved, they go on top, as long as nothing has changed there that they read or wrote.
    If it has, a merge would give data that no run has computed: --rerun runs them again on what is there now.

    Example: kedro dolt adopt experiment
    """
    from ..run.adopt import adopt as bring

    with project.serving(replica=False) as (database, repository):
        if again:
            _run_again(project, database, repository, branch, to or repository.checked_out())
            return
        adoption = bring(database, repository, branch, to)
    if not adoption.commits:
        echo(f"{adoption.branch} has all of {branch} already: nothing to adopt.")
        return
    commits = f"{adoption.commits} commit{'s' if adoption.commits > 1 else ''}"
    changes = ", ".join(map(str, adoption.changes)) or "no data changed"
    echo(f"Adopted {commits} of {branch} to {adoption.branch}: {changes}.")


def _run_again(
    project: Project, database: Database, repository: Repository, branch: str, target: str
) -> None:
    from ..journal.history import message_of
    from ..journal.revision import find
    from ..run.adopt import check_branch, runs_to_adopt
    from ..run.rerun import parameters_of, run_again

    check_branch(repository, branch)
    runs = runs_to_adopt(repository, branch, target)
    if not runs:
        echo(f"{target} has all runs of {branch} already: nothing to run.")
    for run in runs:
        point = find(repository, run.run_id, branch)
        with repository.on(point.commit) as cursor:
            message = message_of(cursor, point.commit)
        parameters = parameters_of(
            run, message, partial(project.parameters, env=run.environment), database.secrets
        )
        for warning in parameters.warnings:
            echo(f"Warning: {warning}", err=True, warning=True)
        echo(f"Running {run.run_id} of {branch} again on {target}.", err=True)
        run_again(project.metadata.project_path, run, parameters, target, project.conf_source)
