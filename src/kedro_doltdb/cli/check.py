"""``kedro dolt check``: the checks of any change, without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..terminal import echo
from .project import Command, in_project

if TYPE_CHECKING:
    from ..catalog.project import Project
    from ..checks.definitions import Check
    from ..dolt.repository import Repository
    from ..journal.revision import Point
    from ..journal.store import CheckResult


@click.command(cls=Command)
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--suggest", is_flag=True, help="Propose checks from the last runs, as YAML for dolt.yml.")
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="With --suggest: of how many runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, in one line.")
@in_project
def check(
    project: Project, old: str | None, new: str | None, suggest: bool, limit: int, as_json: bool
) -> None:  # fmt: skip
    """Run the checks of dolt.yml on what changed between two commits.

    OLD and NEW are run ids or their beginnings, commits, branches, tags, or HEAD~2. NEW is HEAD by default,
    OLD the commit before HEAD. The exit code is 1 if a check with the severity error fails.

    Example: kedro dolt check main experiment
    """
    from .check_view import check_sections, checks_json
    from .render import print_json, print_sections

    if suggest and (old or new or as_json):
        raise click.UsageError("--suggest goes with --limit alone.")
    with project.serving() as (database, repository):
        if suggest:
            _suggest(repository, database.settings.metrics, limit)
            return
        points, results = checked(repository, database.checks, old, new)
    failed = [result for result in results if result.status == "failed" and result.severity == "error"]
    if as_json:
        print_json(checks_json(points, results, ok=not failed))
    elif not results:
        echo("There are no checks: `kedro dolt check --suggest` proposes some for dolt.yml.", err=True)
    else:
        print_sections(check_sections(results))
    if failed:
        click.get_current_context().exit(1)


def checked(
    repository: Repository, checks: tuple[Check, ...], old: str | None, new: str | None
) -> tuple[tuple[Point, Point], list[CheckResult]]:
    """Make the checks of what has changed between two commits.

    Args:
        repository: where they are.
        checks: those of ``dolt.yml``.
        old: what the user calls the one; None is the commit before ``HEAD``.
        new: what the user calls the other; None is ``HEAD``.

    Returns:
        The commits, and the results.

    Raises:
        ConfigError: nothing has such a name.
    """
    from ..checks.audit import audit
    from ..journal.revision import find

    points = find(repository, old or "HEAD~1"), find(repository, new or "HEAD")
    # A connection to a commit can only read.
    with repository.on(points[1].commit) as cursor:
        return points, audit(cursor, points[0].commit, checks)


def _suggest(repository: Repository, metrics: tuple[str, ...], runs: int) -> None:
    import yaml

    from ..checks.suggest import suggested

    branch = repository.checked_out()
    section, count = suggested(repository, branch, metrics, runs)
    if not section:
        echo(f"There are no runs on {branch} to learn from: `kedro run` makes one.", err=True)
        return
    echo(f"# Proposed from the last {count} runs on {branch}, each bound with half as much again as room.")
    echo(
        yaml.safe_dump(
            {"checks": section}, sort_keys=False, allow_unicode=True, default_flow_style=None
        ).rstrip()
    )
