"""The commands ``kedro dolt ...`` that read the journal."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..terminal import echo
from .project import Command, Project, conf_source_option, in_project, note_uncommitted

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, in one line.")


@click.command(cls=Command)
@click.option("--branch", "-b", default=None, help="Runs of this branch, not of the one checked out.")
@click.option("--all", "all_branches", is_flag=True, help="Runs of all branches.")
@click.option("--limit", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="0 lists all.")
@click.option("--sort", metavar="METRIC", default=None, help="Highest first, instead of latest first.")
@click.option("--group", "-g", metavar="NAME", default=None, help="The runs of a group, one by one.")
@click.option("--chart", metavar="METRIC", default=None, help="Draw a metric over the runs.")
@click.option("--wide", "-w", is_flag=True, help="All columns, however long the lines are, for `less -S`.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet.")
@_json
@in_project
def runs(
    project: Project, branch: str | None, all_branches: bool, limit: int, sort: str | None,
    group: str | None, chart: str | None, wide: bool, as_csv: bool, as_json: bool,
) -> None:  # fmt: skip
    """List the runs, one line each.

    Columns are the parameters that differ among them, each metric, the rows changed, and the git commit where
    the code changed (with a star, if there were uncommitted changes). In a pipe they are separated by tabs.

    Runs that failed, were interrupted or could not be published are listed for as long as their branch is
    kept. Metrics come from the tables under `metrics` in dolt.yml. Runs with the same `dolt_run_group` are
    one line.

    Example: kedro dolt runs --all --sort accuracy
    """
    from ..journal.store import now
    from ..queries.runs import listed_runs
    from .chart_view import chart_listing
    from .render import print_delimited, print_json, print_listing, width
    from .runs_view import runs_listing

    if (chart is not None) + wide + as_csv + as_json > 1:
        raise click.UsageError("--chart, --wide, --csv and --json exclude each other.")
    with project.serving() as (database, repository):
        found, total = listed_runs(
            repository, database.settings.metrics, branch=branch, all_branches=all_branches,
            limit=limit or None, sort=sort, group=group,
        )  # fmt: skip
        where = "any branch" if all_branches else branch or repository.checked_out()
    if as_json:
        print_json([{**run.to_json(), "code_changed": run.code_changed} for run in found])
        return
    if chart is not None and found:
        print_listing(chart_listing(found, chart, now(), width()))
        return
    listing = runs_listing(found, total, now(), width(), sort=sort, wide=wide)
    if as_csv:
        print_delimited(listing.data, ",")
    elif not found:
        echo(f"There are no runs on {where}: `kedro run` makes one.", err=True)
    else:
        print_listing(listing, wide=wide)


@click.command(cls=Command)
@click.argument("run")
@_json
@in_project
def show(project: Project, run: str, as_json: bool) -> None:
    """Show one run in full: parameters, metrics, data, code.

    RUN is its commit or its id, the beginning of either, or what else names its commit: a branch, a tag,
    HEAD~2.

    Example: kedro dolt show HEAD
    """
    from ..queries.show import shown_run
    from .render import print_json, print_sections
    from .show_view import show_sections

    with project.serving() as (database, repository):
        found = shown_run(repository, run, database.settings.metrics)
    if as_json:
        print_json(found.to_json())
    else:
        print_sections(show_sections(found))


@click.command(cls=Command)
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--table", "-t", "tables", multiple=True, help="Only this table; more than once for several.")
@click.option(
    "--limit", "-n", type=click.IntRange(min=0), default=5, show_default=True, help="Rows per table."
)
@_json
@click.option("--md", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option(
    "--csv", "directory", metavar="DIR", type=click.Path(path_type=Path), default=None,
    help="Write a CSV file for each table into this new directory, with all rows that differ.",
)  # fmt: skip
@in_project
def compare(
    project: Project, old: str | None, new: str | None, tables: tuple[str, ...], limit: int,
    as_json: bool, as_markdown: bool, directory: Path | None,
) -> None:  # fmt: skip
    """Show how two runs differ: parameters, code, metrics, data.

    OLD and NEW are run ids or their beginnings, commits, branches, tags, or HEAD~2. NEW is the last
    run by default, OLD the run before that.

    Example: kedro dolt compare main experiment --table example_metrics
    """
    from ..journal.store import now
    from ..queries.compare import compare as compare_points
    from ..queries.compare import default_points
    from .compare_csv import write_csv
    from .compare_view import comparison_json, comparison_sections
    from .render import WIDEST, print_json, print_markdown, print_sections, width

    if as_json + as_markdown + (directory is not None) > 1:
        raise click.UsageError("--json, --md and --csv exclude each other.")
    with project.serving() as (database, repository):
        comparison = compare_points(
            repository, *default_points(repository, old, new), database.settings.metrics,
            project.metadata.project_path, only=tables or None, limit=0 if directory else limit,
        )  # fmt: skip
        if directory:
            files = write_csv(repository, comparison, directory)
        note_uncommitted(repository)
    if directory:
        for name in files:
            echo(str(directory / name))
    elif as_json:
        print_json(comparison_json(comparison))
    elif as_markdown:
        print_markdown(comparison_sections(comparison, now(), WIDEST))
    else:
        print_sections(comparison_sections(comparison, now(), width()))


@click.command(cls=Command)
@click.argument("run_id")
@click.option("--code", is_flag=True, help="With the code that the run had, taken from git.")
@conf_source_option
@click.pass_obj
def rerun(metadata: ProjectMetadata, run_id: str, code: bool, conf_source: str | None) -> None:
    """Repeat a run on a new branch, and compare the two.

    It gets the parameters, the filters and the data that the run had, and then compares what both saved.
    RUN_ID may be the beginning of the id. Code, catalog and credentials are those of today, unless --code is
    given: a warning says so if the code has changed since.

    Example: kedro dolt rerun 2026-11-23T18.27
    """
    from ..checks.definitions import may_be_accepted
    from ..journal import reader
    from ..journal.history import message_of
    from ..journal.revision import find_run
    from ..journal.store import now
    from ..queries.compare import compare as compare_points
    from ..run.rerun import moved, parameters_of, result_of, run_again, starting_branch, warnings
    from .compare_view import comparison_sections
    from .render import print_sections, width
    from .rerun_code import rerun_with_code

    project = Project(metadata, conf_source=conf_source)
    with project.serving(replica=False) as (database, repository):
        point, run = find_run(repository, run_id)
        if code:
            rerun_with_code(metadata.project_path, run, conf_source)
            return
        with repository.on(point.commit) as cursor:
            edges = reader.edges(cursor, run.run_id)
            # The same run, with the checks accepted for it that dolt.yml still has.
            accepted = [
                result.name
                for result in reader.checks(cursor, run.run_id)
                if result.status == "accepted" and may_be_accepted(result.name, database.checks)
            ]
            message = message_of(cursor, point.commit)
        parameters = parameters_of(
            run, message, partial(project.parameters, env=run.environment), database.secrets
        )
        for warning in [*warnings(run, edges, metadata.project_path), *parameters.warnings]:
            echo(f"Warning: {warning}", err=True, warning=True)
        with starting_branch(repository, run, edges, point.commit) as branch:
            run_again(metadata.project_path, run, parameters, branch, conf_source, accepted)
            result = result_of(repository, branch)
            if result.run:
                with repository.on(branch) as cursor:
                    for warning in moved(edges, reader.edges(cursor, result.run.run_id)):
                        echo(f"Warning: {warning}", err=True, warning=True)
            saved = [edge.table_name for edge in edges if edge.direction == "save" and edge.table_name]
            comparison = compare_points(
                repository, point, result, database.settings.metrics, metadata.project_path,
                only=dict.fromkeys(saved),
            )  # fmt: skip
    print_sections(comparison_sections(comparison, now(), width()))


@click.command(cls=Command)
@click.argument("dataset")
@click.option(
    "--at", "ref", metavar="REF", default=None, help="A run, commit, branch or tag; not the last one."
)
@in_project
def lineage(project: Project, dataset: str, ref: str | None) -> None:
    """Show which runs, nodes and inputs a dataset comes from.

    The tree ends at what was not made by a run: files, and tables that you imported or edited.

    Example: kedro dolt lineage example_metrics --at HEAD~1
    """
    from ..journal.lineage import lineage as trace
    from ..journal.revision import find
    from .render import print_tree
    from .views import lineage_tree

    with project.serving() as (_, repository):
        origin = trace(repository, dataset, find(repository, ref or "HEAD").commit)
        if ref is None:
            note_uncommitted(repository)
    print_tree(lineage_tree(origin))


@click.command(cls=Command)
@click.argument("table")
@click.option(
    "--where", metavar="KEY=VALUE", multiple=True, help="Only rows with this value in a key column."
)
@click.option("--limit", "-n", type=click.IntRange(min=0), default=50, show_default=True, help="0 lists all.")
@in_project
def blame(project: Project, table: str, where: tuple[str, ...], limit: int) -> None:
    """Show the run that last changed each row of a table.

    Example: kedro dolt blame example_predictions --where sample_id=7
    """
    from ..journal.store import now
    from ..queries.blame import blame as blame_rows
    from .render import print_listing, width
    from .views import blame_listing

    conditions = {}
    for condition in where:
        name, equals, value = condition.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{condition} is not KEY=VALUE.", param_hint="--where")
        conditions[name] = value
    with project.serving() as (_, repository):
        rows = blame_rows(repository, table, conditions, limit or None)
        note_uncommitted(repository)
    if not rows:
        echo(f"{table} has no such row.", err=True)
    else:
        print_listing(blame_listing(rows, now(), width(), limit))


@click.command(cls=Command)
@in_project
def status(project: Project) -> None:
    """Show what has changed since the last run.

    These are uncommitted edits, and inputs of the last run that have changed since. Also branches that are
    ahead of the one checked out, and tables that no entry of the catalog names.

    Example: kedro dolt status
    """
    from ..queries.status import status as look
    from .render import print_sections
    from .views import status_sections

    with project.serving() as (database, repository):
        found = look(
            repository, project.metadata.project_path, project.catalog_config(), database.settings.remote,
            managed=database.settings.managed,
        )  # fmt: skip
    print_sections(status_sections(found))
