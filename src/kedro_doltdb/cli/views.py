"""What each command prints of what it has found, put into sections, a tree or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from .layout import Branch, Column, Data, Listing, Section
from .texts import ROOMY, elided, moment, shown

if TYPE_CHECKING:
    from ..journal.lineage import Origin
    from ..queries.blame import BlamedRow
    from ..queries.status import Status


def blame_listing(rows: Sequence[BlamedRow], now: datetime, width: int, limit: int | None) -> Listing:
    """Return what ``kedro dolt blame`` prints: what changed each row last, by its key.

    Args:
        rows: what was found, of one row at least.
        now: what counts as the present, UTC.
        width: of the terminal; texts are shortened to a part of it.
        limit: how many rows were asked for; None is all.
    """
    keys = list(rows[0].key)
    # A run's message says no more than that it is the run's.
    by = [row.run_id or row.message for row in rows]
    columns = [
        *(Column(key, [elided(shown(row.key[key]), width // 3) for row in rows]) for key in keys),
        Column("Commit", [row.commit[:10] for row in rows]),
        Column("When", [moment(row.date, now, short=width < ROOMY) for row in rows]),
        Column("Run or message", [elided(text, max(width // 3, 24)) for text in by], rank=1),
        Column("Author", [elided(row.author, max(width // 6, 12)) for row in rows], rank=2),
    ]
    data = Data(
        [*keys, "commit", "date", "author", "run_id", "message"],
        [[*row.key.values(), row.commit, row.date, row.author, row.run_id, row.message] for row in rows],
    )
    notes = [f"The first {limit} rows: --limit 0 shows all."] if len(rows) == limit else []
    return Listing(columns, data, notes)


def lineage_tree(origin: Origin) -> Branch:
    """Return what ``kedro dolt lineage`` prints."""
    content = f"  {origin.content_hash[:17]}" if origin.content_hash else ""
    label = f"{shown(origin.dataset)}{content}"
    if origin.run_id:
        label += f"  ← {shown(origin.node or '-')} in run {shown(origin.computed_by or origin.run_id)}"
        if origin.computed_by:
            label += f", {'resumed' if origin.resumed else 'reused'} by {shown(origin.run_id)}"
    elif origin.commit:
        label += f"  ← no run; commit {shown(origin.commit)}"
    if origin.note:
        label += f"  ({origin.note})"
    return Branch(label, [lineage_tree(loaded) for loaded in origin.inputs])


def status_sections(status: Status) -> list[Section]:
    """Return what ``kedro dolt status`` prints."""
    last = status.last
    about = f"{last.run.run_id} ({last.commit[:10]})" if last else "none"
    rows = [["Branch", shown(status.branch)], ["Last run", about]]
    if status.remote:
        far = status.distance
        known = f"{far.ahead} ahead, {far.behind} behind, as last pulled or pushed" if far else "never seen"
        rows.append([shown(status.remote), known])
    if status.merging:
        held_up = ", ".join(map(shown, status.unmerged))
        rows.append(
            ["Merging", shown(status.merging) + (f", with conflicts in {held_up}" if held_up else "")]
        )
    rows.append(["Dolt", shown(status.dolt)])
    way_out = "Finish the merge with `dolt commit`, or undo it with `dolt merge --abort`."
    sections = [Section("", ["", ""], rows, way_out if status.merging else "")]
    if status.uncommitted:
        rows = [[str(change)] for change in status.uncommitted]
        sections.append(Section("Uncommitted edits", ["Table"], rows, "`dolt diff` shows them."))
    else:
        sections.append(Section("", [], [], "No uncommitted edits."))
    if status.changed_inputs:
        rows = [[shown(name)] for name in status.changed_inputs]
        sections.append(Section("Changed since the last run read them", ["Dataset"], rows))
    elif last:
        sections.append(Section("", [], [], "What the last run read is as it was."))
    if status.ahead:
        rows = [[shown(name), str(count)] for name, count in status.ahead.items()]
        way_out = (
            "Bring one here with `kedro dolt adopt <branch>`, or delete it with `dolt branch -D <branch>`."
        )
        sections.append(Section("Ahead of this branch", ["Branch", "Commits"], rows, way_out))
    if status.unknown_tables:
        rows = [[shown(name)] for name in status.unknown_tables]
        way_out = (
            "If a dataset has another name now, leave its `table_name`, or `RENAME TABLE <old> TO <new>` in "
            "`kedro dolt sql`. If it is gone, `DROP TABLE <old>`. Then `dolt add -A` and `dolt commit`."
        )
        sections.append(Section("In no entry of the catalog", ["Table"], rows, way_out))
    return sections
