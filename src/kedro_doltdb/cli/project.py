"""What every command ``kedro dolt ...`` begins with: its project; results alone on standard output."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ..catalog.project import Project as Project
from ..terminal import results_alone

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

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
