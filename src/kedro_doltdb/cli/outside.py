"""The commands ``kedro dolt ...`` outside a project: Kedro asks for them at every start."""

from __future__ import annotations

from pathlib import Path

import click
from kedro.utils import find_kedro_project

from .install import install


class _OutsideProjects(click.Group):
    """A group that is empty in a project, where Kedro would prefer its commands to the project's."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return [] if find_kedro_project(Path.cwd()) else super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name."""
        return None if find_kedro_project(Path.cwd()) else super().get_command(ctx, cmd_name)


class _Dolt(click.Group):
    """The commands that need no project; of the others it says so."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name."""
        if self.get_command(ctx, args[0]) is None:
            raise click.UsageError(
                f"`kedro dolt {args[0]}` works in a Kedro project: change to its directory."
            )
        return super().resolve_command(ctx, args)


# Of Kedro's own name, so that `kedro --help` lists it among Kedro's own commands.
@click.group(name="kedro", cls=_OutsideProjects)
def commands() -> None:
    """Nothing: Kedro's entry point wants a group to merge into its own."""


commands.help = None


@commands.group(name="dolt", cls=_Dolt)
def dolt() -> None:
    """Version data with Dolt. In a project there are more commands."""


dolt.add_command(install)
