"""``kedro dolt doctor``."""

from __future__ import annotations

import click

from ..catalog.project import Project
from .project import Command, in_project


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, in one line.")
@in_project
def doctor(project: Project, as_json: bool) -> None:
    """Check the project, and say what to do about what is wrong.

    That is versions, wiring, settings, catalog, permissions, disk, server, remote, journal. It changes
    nothing. The exit code is 1 if something keeps runs from working.

    Example: kedro dolt doctor
    """
    from ..queries.doctor import examine
    from .layout import Section
    from .render import print_json, print_sections

    findings = examine(project)
    errors = [finding for finding in findings if finding.level == "error"]
    if as_json:
        print_json({"healthy": not errors, "findings": [finding.to_json() for finding in findings]})
    else:
        rows = [
            [finding.level, finding.check, f"{finding.found}{': ' if finding.remedy else ''}{finding.remedy}"]
            for finding in sorted(findings, key=lambda found: ("error", "warning", "ok").index(found.level))
        ]
        warnings = sum(finding.level == "warning" for finding in findings)
        note = f"{len(errors)} error{'s' * (len(errors) != 1)}, {warnings} warning{'s' * (warnings != 1)}."
        print_sections([Section("", ["", "", ""], rows, note, folds=True)])
    click.get_current_context().exit(1 if errors else 0)
