"""``kedro dolt plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .project import Command, Project, in_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..queries.plan import Planned
    from .layout import Section

_WORDS = {"run": "run", "perhaps": "run?", "take": "take", "skip": "skip"}


def _params(context: click.Context, option: click.Parameter, value: str) -> dict[str, Any]:
    # As `kedro run --params` reads them; Kedro is imported only for this command.
    from kedro.framework.cli.utils import _split_params

    split: dict[str, Any] = _split_params(context, option, value) if value else {}
    return split


@click.command(cls=Command)
@click.option(
    "--pipelines", "--pipeline", "-p", "pipelines", default="", help="The pipelines, as for `kedro run`."
)
@click.option("--params", default="", callback=_params, help="Parameters, as for `kedro run`.")
@click.option("--node", "-n", "node", default=None, help="Only this node.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, in one line.")
@in_project
def plan(project: Project, pipelines: str, params: dict[str, Any], node: str | None, as_json: bool) -> None:
    """Show which nodes an incremental run would run, and why.

    Nothing is run or written.

    `run?` stands for a node that runs only if one before it saves something new. See `kedro run
    --runner=kedro_doltdb.IncrementalRunner`.

    Example: kedro dolt plan --params example_test_data_ratio=0.1
    """
    from ..errors import ConfigError, suggestion
    from ..queries.plan import plan as planned
    from .render import print_json, print_sections

    chosen = [name.strip() for name in pipelines.split(",") if name.strip()]
    found = planned(project, chosen, params)
    if node is not None:
        names = [one.node for one in found]
        found = [one for one in found if one.node == node]
        if not found:
            raise ConfigError(f"There is no node {node} in the pipeline: {suggestion(node, names)}")
    if as_json:
        print_json([one.to_json() for one in found])
    else:
        print_sections([plan_section(found)])


def plan_section(planned: Sequence[Planned]) -> Section:
    """Return what ``kedro dolt plan`` prints.

    Args:
        planned: what would become of each node.
    """
    from ..terminal import printable
    from .layout import CHANGED, GOOD, QUIET, Section, styled
    from .texts import duration

    styles = {"run": CHANGED, "perhaps": CHANGED, "take": GOOD, "skip": QUIET}
    rows = [
        [styled(_WORDS[one.action], styles[one.action]), printable(one.node), printable(one.why)]
        for one in planned
    ]
    counts = {action: sum(one.action == action for one in planned) for action in _WORDS}
    note = f"{counts['run']} would run"
    note += f", {counts['perhaps']} perhaps" if counts["perhaps"] else ""
    note += f", {counts['take']} would be taken from other runs" if counts["take"] else ""
    note += f", {counts['skip']} would be skipped."
    saved = [one.seconds for one in planned if one.seconds is not None]
    if saved:
        note += f" What need not run took {duration(sum(saved))} when it was computed."
    return Section("", ["", "Node", "Why"], rows, note, folds=True)
