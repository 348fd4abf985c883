"""The commands ``kedro dolt ...``. What they do is in the modules that they import when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..terminal import echo
from .adopt import adopt
from .check import check
from .doctor import doctor
from .install import install
from .journal_commands import blame, compare, lineage, rerun, runs, show, status
from .plan import plan
from .project import Command, Project, in_project
from .prune import prune
from .publish import publish
from .report import report
from .restore import restore

if TYPE_CHECKING:
    from ..catalog.credentials import Database


@click.group(name="kedro-dolt")
def commands() -> None:
    """Kedro's entry point wants a group to merge into its own."""


class _Sections(click.Group):
    """A group whose help lists its commands by what they are for, each with its first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lists."""
        for title, members in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(str(member.name), member.get_short_help_str(limit=1000)) for member in members]
                )


@commands.group(name="dolt", cls=_Sections)
def dolt() -> None:
    """Work with the project's Dolt repository, data/."""


@click.command(cls=Command)
@in_project
def init(project: Project) -> None:
    """Make data/ a Dolt repository.

    It is a clone of dolt.yml's `remote`, or has the tables of its `initial_tables`. Needed once after a fresh
    `git clone`, for Dolt's files are not in git.

    Example: kedro dolt init
    """
    from ..dolt.remote import check_directory
    from ..dolt_cli import DoltCommandError, check_version, clone, find_dolt, initialise
    from ..errors import DoltError

    database, _ = project.own_database("make")
    settings, data_dir = database.settings, database.data_dir
    try:
        check_version(find_dolt())
        if remote := settings.remote:
            check_directory(remote.url)
            if clone(data_dir, remote.url, remote.name, remote.user, remote.timeout):
                _warn_of_code(database)
                echo(f"data/ is a clone of {remote.url} now. Next: kedro run")
                return
            echo(f"{remote.url} holds nothing yet: data/ will be the first there.")
        initialise(data_dir, settings.initial_tables)
    except DoltCommandError as error:
        raise DoltError(str(error)) from error
    names = ", ".join(table.name for table in settings.initial_tables) or "no table"
    echo(f"data/ is a Dolt repository now, with {names}. Next: kedro run")


def _warn_of_code(database: Database) -> None:
    from ..dolt.stored_code import stored_code

    with database.serving() as repository, repository.on() as cursor:
        if code := stored_code(cursor):
            echo(
                f"Warning: the clone brings code, {', '.join(code)}, which can do to this machine what you "
                "can, when a table is written. If you do not trust whose it is, look first: in data/ "
                "`dolt sql -q 'SELECT * FROM dolt_schemas'`, `dolt sql -q 'SELECT * FROM dolt_procedures'`.",
                err=True, warning=True,
            )  # fmt: skip


@click.command(cls=Command)
@click.option(
    "--user", "-u", default=None, help="The name of the SQL user, who exists for as long as this runs."
)
@click.option(
    "--password", prompt=True, prompt_required=False, hide_input=True, default=None,
    help="Ask for the user's password, instead of making one up.",
)  # fmt: skip
@in_project
def server(project: Project, user: str | None, password: str | None) -> None:
    """Serve data/ to other tools of this machine until Ctrl-C.

    It prints the address, a user and a password, unless you gave one. A `kedro run` uses the same server.

    Example: kedro dolt server --user ada
    """
    from .serve import serve

    serve(*project.own_database("serve"), user, password)


@click.command(cls=Command)
@click.option("--query", "-q", default=None, help="Run this query, print its result, and exit.")
@click.option("--branch", "-b", default=None, help="Use this branch instead of the one checked out in data/.")
@in_project
def sql(project: Project, query: str | None, branch: str | None) -> None:
    """Open Dolt's SQL shell, while runs go on beside it.

    A plain `dolt sql` in data/ blocks every run for as long as it is open, unless a server runs.

    Example: kedro dolt sql -q "SELECT * FROM example_metrics"
    """
    from .shell import shell

    database, _ = project.own_database("open a shell on")
    click.get_current_context().exit(shell(database, query, branch))


# Every command is in one of them.
SECTIONS: dict[str, list[click.Command]] = {
    "Look": [runs, show, status, lineage, blame, sql],
    "Compare": [compare, report, check, plan, rerun, restore],
    "Change": [adopt, publish],
    "Maintain": [init, server, doctor, prune, install],
}
for _member in (member for members in SECTIONS.values() for member in members):
    dolt.add_command(_member)
