"""``kedro dolt publish``: what a refused run has computed."""

from __future__ import annotations

import click

from ..catalog.project import Project
from ..terminal import echo
from .project import Command, in_project


@click.command(cls=Command)
@click.argument("run")
@click.option("--to", metavar="BRANCH", default=None, help="Publish to this branch instead.")
@in_project
def publish(project: Project, run: str, to: str | None) -> None:
    """Publish the data of a refused run.

    RUN is the id of a run that computed everything and could not be published, or the beginning of the id.
    Nothing is computed again, and the rules are those of a run: what it read or wrote must not have changed
    on the branch since.

    Example: kedro dolt publish 2026-11-23T18.27 --to experiment
    """
    from ..run.publish import publish_kept

    with project.serving(replica=False) as (database, repository):
        published = publish_kept(database, repository, run, to)
    if published is None:
        echo("The branch has all of it already: nothing to publish.")
    else:
        branch, commit, changes = published
        echo(f"Published {commit[:10]} to {branch}: {', '.join(map(str, changes))}.")
