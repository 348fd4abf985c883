"""What commands ``kedro dolt ...`` share: a project, results alone on standard output, a note on edits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ..catalog.project import Project as Project
from ..terminal import echo, results_alone

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

    from ..dolt.repository import Repository

_env = click.option("--env", "-e", default=None, help="Kedro configuration environment.")
conf_source_option = click.option(
    "--conf-source", type=click.Path(exists=True, resolve_path=True), default=None,
    help="Path of the configuration, as for `kedro run`.",
)  # fmt: skip


class Command(click.Command):
    """A command whose results alone are on standard output."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with results_alone():
            return super().invoke(ctx)


def in_project(command: Callable[..., None]) -> Callable[..., None]:
    """Give ``command`` the options ``--env`` and ``--conf-source``, and the :class:`Project` they make."""

    def with_project(metadata: ProjectMetadata, /, **kwargs: Any) -> None:
        command(Project(metadata, kwargs.pop("env"), kwargs.pop("conf_source")), **kwargs)

    functools.update_wrapper(with_project, command)
    return _env(conf_source_option(click.pass_obj(with_project)))


def note_uncommitted(repository: Repository) -> None:
    """Say which uncommitted edits a command passes over that looks at commits."""
    branch = repository.checked_out()
    if tables := repository.uncommitted(branch):
        echo(
            f"Note: {', '.join(tables)} has uncommitted edits on {branch}, which are not looked at here: "
            "`kedro dolt status`.",
            err=True,
        )
