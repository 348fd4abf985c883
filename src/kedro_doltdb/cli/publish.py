"""``kedro dolt publish``: what a refused run has computed."""

from __future__ import annotations

import click

from ..catalog.project import Project
from ..terminal import echo
from .project import Command, in_project


@click.command(cls=Command)
@click.argument("run")
@click.option("--to", metavar="BRANCH", default=None, help="Publish to this branch instead.")
@click.option(
    "--accept",
    metavar="CHECK",
    multiple=True,
    help="Publish although this check fails; more than once for several.",
)
@click.option("--reason", metavar="TEXT", default=None, help="Why, for the log and the journal.")
@in_project
def publish(
    project: Project, run: str, to: str | None, accept: tuple[str, ...], reason: str | None
) -> None:  # fmt: skip
    """Publish the data of a refused run.

    RUN is the id of a run that computed everything and could not be published, or the beginning of the id.
    Nothing is computed again, and the rules are those of a run: what it read or wrote must not have changed
    on the branch since, and the checks in dolt.yml run again. CHECK is the name in the message of the
    failure, example_test_x.max_rows_changed; without the table it is accepted for all tables.

    Example: kedro dolt publish 2026-11-23T18.27 --accept max_rows_changed --reason "New labels"
    """
    from ..run.publish_refused import publish_refused

    if bool(accept) != bool(reason and reason.strip()):
        raise click.UsageError("--accept and --reason belong together: say what is accepted, and why.")
    with project.serving(replica=False) as (database, repository):
        published = publish_refused(database, repository, run, to, accept, " ".join((reason or "").split()))
    if published is None:
        echo("The branch has all of it already: nothing to publish.")
    else:
        branch, commit, changes = published
        echo(f"Published {commit[:10]} to {branch}: {', '.join(map(str, changes))}.")
