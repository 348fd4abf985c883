"""What the checks of a run, or of any change, have found, as it is printed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..checks.audit import row_text
from .layout import BAD, CHANGED, GOOD, QUIET, Cell, Section, joined, styled
from .texts import LONGEST, elided

if TYPE_CHECKING:
    from ..journal.revision import Point
    from ..journal.store import CheckResult

_STATUSES = {
    "failed": styled("failed", BAD),
    "warning": styled("warning", CHANGED),
    "accepted": styled("accepted", CHANGED),
    "skipped": styled("skipped", QUIET),
    "passed": styled("passed", GOOD),
}


def status_of(result: CheckResult) -> str:
    """Return the status of a result in one word: a failure that stops nothing is a warning."""
    return "warning" if result.status == "failed" and result.severity != "error" else result.status


def check_sections(results: Iterable[CheckResult], *, brief: bool = False) -> list[Section]:
    """Return what the checks have found, the failures first.

    Args:
        results: of the checks.
        brief: whether those that passed or were skipped are only counted.
    """
    order = list(_STATUSES)
    # Whoever has written the journal may have written any status.
    known = [result for result in results if status_of(result) in order]
    counts = [(status, sum(status_of(result) == status for result in known)) for status in order]
    note = ", ".join(f"{number} {status}" for status, number in counts if number)
    if brief:
        known = [result for result in known if result.status in ("failed", "accepted")]
    if not known:
        return []
    known.sort(key=lambda result: order.index(status_of(result)))
    rows: list[list[Cell]] = []
    for result in known:
        found = elided(result.found, LONGEST)
        rows.append([_STATUSES[status_of(result)], result.name, found, elided(result.bound, LONGEST)])
        if result.status == "accepted":
            rows.append(["", "", styled(f"by {result.accepted_by}: {result.reason}", QUIET), ""])
        if result.status in ("failed", "accepted"):
            rows += [["", "", joined("  ", elided(row_text(row), LONGEST)), ""] for row in result.offending]
    return [Section("Checks", ["", "Check", "Found", "Bound"], rows, note, folds=True)]


def checks_json(points: tuple[Point, Point], results: Iterable[CheckResult], *, ok: bool) -> dict[str, Any]:
    """Return what ``kedro dolt check --json`` prints."""
    old, new = points
    return {
        "old": {"name": old.name, "commit": old.commit},
        "new": {"name": new.name, "commit": new.commit},
        "ok": ok,
        "checks": [result.to_json() for result in results],
    }
