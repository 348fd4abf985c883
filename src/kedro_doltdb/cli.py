"""The commands ``kedro dolt ...``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


@click.group(name="kedro-dolt")
def commands() -> None:
    """Kedro's entry point wants a group to merge into its own."""


@commands.group(name="dolt")
def dolt() -> None:
    """Work with the project's Dolt repository, data/."""


@dolt.command()
@click.option("--env", "-e", default=None, help="Kedro configuration environment.")
@click.pass_obj
def init(metadata: ProjectMetadata, env: str | None) -> None:
    """Make data/ a Dolt repository and import the tables of dolt.yml's `initial_tables`.

    Needed once after a fresh `git clone`, for Dolt's files are not in git.

    Example: kedro dolt init
    """
    from kedro.framework.session import KedroSession

    from .dolt_cli import DoltCommandError, check_version, find_dolt, initialise
    from .errors import DoltError
    from .settings import Settings

    session: Any = KedroSession.create(project_path=metadata.project_path, env=env)
    config = session.load_context().config_loader["dolt"]
    settings = Settings.from_config(config)
    data_dir = metadata.project_path / "data"
    try:
        check_version(find_dolt())
        initialise(data_dir, settings.initial_tables)
    except DoltCommandError as error:
        raise DoltError(str(error)) from error
    names = ", ".join(table.name for table in settings.initial_tables) or "no table"
    click.echo(f"data/ is a Dolt repository now, with {names}. Next: kedro run")
