"""``kedro dolt restore``: code, parameters and data of a run in a directory of their own."""

from __future__ import annotations

import os
import shlex
from functools import partial
from pathlib import Path

import click

from ..catalog.project import Project
from ..terminal import echo
from .project import Command, in_project


@click.command(cls=Command)
@click.argument("run")
@click.option(
    "--into", required=True, type=click.Path(path_type=Path), help="A directory that is not there yet."
)
@click.option("--start", is_flag=True, help="The data as the run found it, not as it left it.")
@in_project
def restore(project: Project, run: str, into: Path, start: bool) -> None:
    """Bring a run back whole: its code, parameters and data in another directory.

    RUN is its id, its commit, or a tag. The code is a git worktree at the run's commit, the parameters are in
    conf/local/parameters.yml, data/ is a copy on the branch restored/<run id>. This project is not touched.

    Example: kedro dolt restore v1.0 --into ../iris-v1.0
    """
    from ..dolt_cli import DoltCommandError
    from ..errors import ConfigError, DoltError
    from ..journal.history import message_of
    from ..journal.revision import find_run
    from ..run.rerun import parameters_of
    from ..run.restore import branch_name, write_parameters
    from ..run.restore import restore as make

    path = project.metadata.project_path
    project.own_database("restore")
    with project.serving() as (database, repository):
        point, found = find_run(repository, run)
        if start and found.base is None:
            raise ConfigError(f"The journal does not say where run {found.run_id} began: leave out --start.")
        with repository.on(point.commit) as cursor:
            message = message_of(cursor, point.commit)
        parameters, lost = {}, ""
        try:
            parameters = parameters_of(
                found, message, partial(project.parameters, env=found.environment), database.secrets
            ).params
        except ConfigError as error:
            lost = error.message
        try:
            restored = make(
                path, found, str(found.base if start else point.commit), Path(os.path.abspath(into))
            )
        except DoltCommandError as error:
            raise DoltError(str(error)) from error
    file = None if lost or found.environment else write_parameters(restored, parameters)
    if found.git_commit and found.git_commit.endswith("-dirty"):
        echo(
            "Warning: the run's code had uncommitted changes, which are in no git commit: they are not here.",
            err=True, warning=True,
        )  # fmt: skip
    if file is None:
        why = lost or "conf/ of that code has its own place for them."
        echo(f"Warning: the parameters were not written: {why}", err=True, warning=True)
    env = f" --env {shlex.quote(found.environment)}" if found.environment else ""
    echo(f"Restored run {found.run_id} into {restored}, data on the branch {branch_name(found)}. Next:")
    echo(f"cd {shlex.quote(str(restored))} && kedro run{env}")
