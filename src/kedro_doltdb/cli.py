"""The commands ``kedro dolt ...``. What they do is in the modules that they import when they are called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

    from .database import Database
    from .repository import Repository

_env = click.option("--env", "-e", default=None, help="Kedro configuration environment.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, in one line, the last one.")


@click.group(name="kedro-dolt")
def commands() -> None:
    """Kedro's entry point wants a group to merge into its own."""


@commands.group(name="dolt")
def dolt() -> None:
    """Work with the project's Dolt repository, data/."""


def _config_loader(metadata: ProjectMetadata, env: str | None) -> Any:
    from kedro.framework.project import settings

    # Not by a session's context: other plugins' hooks have no part in this.
    return settings.CONFIG_LOADER_CLASS(
        conf_source=str(metadata.project_path / settings.CONF_SOURCE), env=env, **settings.CONFIG_LOADER_ARGS
    )


def _database(metadata: ProjectMetadata, env: str | None, *, replica: bool = False) -> Database:
    from .database import Database

    return Database.load(metadata.project_path, _config_loader(metadata, env), replica)


def _own_database(metadata: ProjectMetadata, env: str | None, what: str) -> Database:
    """The database, if its server is ours.

    Raises:
        ConfigError: it is not.
    """
    from .errors import ConfigError

    database = _database(metadata, env)
    if not database.settings.managed:
        raise ConfigError(
            f"conf/*/dolt.yml says `managed: false`, so the data is on {database.server.name} and not in "
            f"data/: there is nothing to {what}."
        )
    return database


@contextmanager
def _serving(
    metadata: ProjectMetadata, env: str | None, *, replica: bool = True
) -> Iterator[tuple[Database, Repository]]:
    database = _database(metadata, env, replica=replica)
    with database.serving() as repository:
        yield database, repository


@dolt.command()
@_env
@click.pass_obj
def init(metadata: ProjectMetadata, env: str | None) -> None:
    """Make data/ a Dolt repository: clone dolt.yml's `remote`, or import the tables of its `initial_tables`.

    Needed once after a fresh `git clone`, for Dolt's files are not in git.

    Example: kedro dolt init
    """
    from .dolt_cli import DoltCommandError, check_version, clone, find_dolt, initialise
    from .errors import DoltError
    from .remote import check_directory

    database = _own_database(metadata, env, "make")
    settings, data_dir = database.settings, database.data_dir
    try:
        check_version(find_dolt())
        if remote := settings.remote:
            check_directory(remote.url)
            if clone(data_dir, remote.url, remote.name, remote.user, remote.timeout):
                click.echo(f"data/ is a clone of {remote.url} now. Next: kedro run")
                return
            click.echo(f"{remote.url} holds nothing yet: data/ will be the first there.")
        initialise(data_dir, settings.initial_tables)
    except DoltCommandError as error:
        raise DoltError(str(error)) from error
    names = ", ".join(table.name for table in settings.initial_tables) or "no table"
    click.echo(f"data/ is a Dolt repository now, with {names}. Next: kedro run")


@dolt.command()
@click.option("--branch", "-b", default=None, help="Runs of this branch, not of the one checked out.")
@click.option("--all", "all_branches", is_flag=True, help="Runs of all branches.")
@click.option("--limit", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="0 lists all.")
@click.option("--sort", metavar="METRIC", default=None, help="Highest first, instead of latest first.")
@click.option("--group", "-g", metavar="NAME", default=None, help="The runs of a group, one by one.")
@_json
@_env
@click.pass_obj
def runs(
    metadata: ProjectMetadata, branch: str | None, all_branches: bool, limit: int, sort: str | None,
    group: str | None, as_json: bool, env: str | None,
) -> None:  # fmt: skip
    """List the runs: parameters that differ among them, metrics, rows changed.

    Runs that failed, were interrupted or could not be published are listed for as long as their branch is
    kept. Metrics come from the tables under `metrics` in dolt.yml. Runs with the same `dolt_run_group` are
    one line.

    Example: kedro dolt runs --all --sort accuracy
    """
    from .listing import listed_runs
    from .render import print_sections, to_json
    from .views import runs_section

    with _serving(metadata, env) as (database, repository):
        found = listed_runs(
            repository, database.settings.metrics, branch=branch, all_branches=all_branches,
            limit=limit or None, sort=sort, group=group,
        )  # fmt: skip
        where = "any branch" if all_branches else branch or repository.checked_out()
    if as_json:
        click.echo(to_json([run.to_json() for run in found]))
    elif not found:
        click.echo(f"There are no runs on {where}: `kedro run` makes one.")
    else:
        print_sections([runs_section(found)])


@dolt.command()
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--table", "-t", "tables", multiple=True, help="Only this table; more than once for several.")
@click.option(
    "--limit", "-n", type=click.IntRange(min=0), default=5, show_default=True, help="Rows per table."
)
@_json
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@_env
@click.pass_obj
def compare(
    metadata: ProjectMetadata, old: str | None, new: str | None, tables: tuple[str, ...], limit: int,
    as_json: bool, as_markdown: bool, env: str | None,
) -> None:  # fmt: skip
    """Show how two runs differ: parameters, metrics, schemas, rows.

    OLD and NEW are run ids or their beginnings, commits, branches, tags, or HEAD~2. Without NEW it is the
    last run, without OLD the run before that.

    Example: kedro dolt compare main experiment --table example_metrics
    """
    from .compare import compare as compare_points
    from .compare import default_points
    from .render import print_sections, to_json, to_markdown
    from .views import comparison_json, comparison_sections

    if as_json and as_markdown:
        raise click.UsageError("--json and --md exclude each other.")
    with _serving(metadata, env) as (database, repository):
        comparison = compare_points(
            repository, *default_points(repository, old, new), database.settings.metrics,
            only=tables or None, limit=limit,
        )  # fmt: skip
        _note_uncommitted(repository)
    if as_json:
        click.echo(to_json(comparison_json(comparison)))
    elif as_markdown:
        click.echo(to_markdown(comparison_sections(comparison)))
    else:
        print_sections(comparison_sections(comparison))


def _note_uncommitted(repository: Repository) -> None:
    branch = repository.checked_out()
    if tables := repository.uncommitted(branch):
        click.echo(
            f"Note: {', '.join(tables)} has uncommitted edits on {branch}, which are not looked at here: "
            "`kedro dolt status`.",
            err=True,
        )


@dolt.command()
@click.argument("run_id")
@click.pass_obj
def rerun(metadata: ProjectMetadata, run_id: str) -> None:
    """Run a run again, with its parameters, its filters and its data, on a new branch.

    RUN_ID may be the beginning of it. The end is a comparison of what both runs saved. The code is the one
    that is there now: a warning says so if it is not that of the run.

    Example: kedro dolt rerun 2026-11-23T18.27
    """
    from . import journal
    from .compare import compare as compare_points
    from .errors import ConfigError
    from .history import find
    from .render import print_sections
    from .rerun import overrides, parameters_today, result_of, run_again, starting_branch, warnings
    from .views import comparison_sections

    with _serving(metadata, None, replica=False) as (database, repository):
        point = find(repository, run_id)
        run = point.run
        if run is None:
            raise ConfigError(f"{run_id} is not a run: `kedro dolt runs --all` lists them.")
        with repository.on(point.commit) as cursor:
            edges = journal.edges(cursor, run.run_id)
        today = parameters_today(_config_loader(metadata, run.environment))
        params = overrides(today, run.params)
        for warning in warnings(run, edges, metadata.project_path, today):
            click.secho(f"Warning: {warning}", fg="yellow", err=True)
        with starting_branch(repository, run, edges, point.commit) as branch:
            run_again(metadata.project_path, run, params, branch)
            result = result_of(repository, branch)
            saved = [edge.table_name for edge in edges if edge.direction == "save" and edge.table_name]
            comparison = compare_points(
                repository, point, result, database.settings.metrics, only=dict.fromkeys(saved)
            )
    print_sections(comparison_sections(comparison))


@dolt.command()
@click.argument("dataset")
@click.option(
    "--at", "ref", metavar="REF", default=None, help="A run, commit, branch or tag; not the last one."
)
@_env
@click.pass_obj
def lineage(metadata: ProjectMetadata, dataset: str, ref: str | None, env: str | None) -> None:
    """Show which run, node and inputs a dataset's content comes from, back to what no run has made.

    Example: kedro dolt lineage example_metrics --at HEAD~1
    """
    from .history import find
    from .lineage import lineage as trace
    from .views import print_lineage

    with _serving(metadata, env) as (_, repository):
        origin = trace(repository, dataset, find(repository, ref or "HEAD").commit)
        if ref is None:
            _note_uncommitted(repository)
    print_lineage(origin)


@dolt.command()
@click.argument("table")
@click.option(
    "--where", metavar="KEY=VALUE", multiple=True, help="Only rows with this value in a key column."
)
@click.option("--limit", "-n", type=click.IntRange(min=0), default=50, show_default=True, help="0 lists all.")
@_env
@click.pass_obj
def blame(metadata: ProjectMetadata, table: str, where: tuple[str, ...], limit: int, env: str | None) -> None:
    """Show the run that last changed each row of a table.

    Example: kedro dolt blame example_predictions --where sample_id=7
    """
    from .blame import blame as blame_rows
    from .render import print_sections
    from .views import blame_section

    conditions = {}
    for condition in where:
        name, equals, value = condition.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{condition} is not KEY=VALUE.", param_hint="--where")
        conditions[name] = value
    with _serving(metadata, env) as (_, repository):
        rows = blame_rows(repository, table, conditions, limit or None)
        _note_uncommitted(repository)
    if not rows:
        click.echo(f"{table} has no such row.")
    else:
        print_sections([blame_section(rows)])


@dolt.command()
@_env
@click.pass_obj
def status(metadata: ProjectMetadata, env: str | None) -> None:
    """Show uncommitted edits, and whether what the last run read has changed since.

    Example: kedro dolt status
    """
    from .render import print_sections
    from .status import status as look
    from .views import status_sections

    with _serving(metadata, env) as (database, repository):
        found = look(repository, metadata.project_path, database.settings.remote)
    print_sections(status_sections(found))


@dolt.command()
@click.option("--user", "-u", required=True, help="The name of a SQL user, made for as long as this runs.")
@click.option(
    "--password", prompt=True, prompt_required=False, hide_input=True, default=None,
    help="Ask for the user's password, instead of making one up.",
)  # fmt: skip
@_env
@click.pass_obj
def server(metadata: ProjectMetadata, user: str, password: str | None, env: str | None) -> None:
    """Serve data/ to other tools of this machine until Ctrl-C; a `kedro run` meanwhile uses the same server.

    Example: kedro dolt server --user ada
    """
    from .serve import serve

    serve(_own_database(metadata, env, "serve"), user, password)
