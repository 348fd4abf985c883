"""A review as one HTML file that needs nothing else: no network, and no script but its own."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..queries.nodes import MOST_NODES
from ..queries.review import PROFILED
from ..terminal import first_of, printable
from .layout import laid_out
from .rows import MOST_BYTES, embedded, table_rows

if TYPE_CHECKING:
    from ..journal.store import CheckResult
    from ..queries.picture import Picture
    from ..queries.profile import ColumnProfile
    from ..queries.review import Review, TableReview

# What every report begins with, so that no other file is taken for one.
BEGINNING = "<!doctype html>\n<!-- kedro dolt report -->\n"
_NONE = "\N{EN DASH}"
_LONGEST = 200
_LABEL = 30
# More nodes are a list, and no picture.
_MOST_BOXES = 400
_ORDER = ("failed", "accepted", "warning", "skipped", "passed")


def page(review: Review, now: datetime, arguments: str) -> str:
    """Return a review as HTML.

    Every value is escaped twice over: what cannot be seen is written out, then HTML's own characters are. The
    page's security policy lets no script run but the one that it comes with.

    Args:
        review: what it shows.
        now: when it is made, UTC.
        arguments: how a command names the two commits: ``A B``.
    """
    room = MOST_BYTES
    tables = []
    for table in review.tables:
        rows, size = table_rows(table, room)
        room -= size
        tables.append((table, rows))
    style, script = _file("page.css"), _file("page.js")
    html = (
        _environment()
        .from_string(_file("page.html.j2"))
        .render(
            review=review,
            comparison=review.comparison,
            tables=tables,
            data=Markup(embedded([rows for _, rows in tables])),
            verdict=_verdict(review),
            checks=sorted(review.comparison.checks, key=_severity),
            check_status=_check_status,
            picture=_drawn(review.picture, [table.diff.change.table for table, _ in tables]),
            others=_others(review),
            edited=first_of([node.node for node in review.comparison.nodes if node.code], MOST_NODES),
            failed=[node.name for node in review.picture.nodes if node.status == "failed"],
            columns=_columns,
            bars=_bars,
            unprofiled=_unprofiled,
            style=Markup(style),
            script=Markup(script),
            style_hash=Markup(_hash(style)),
            script_hash=Markup(_hash(script)),
            arguments=arguments,
            is_link=_is_link,
            now=now,
        )
    )
    return BEGINNING + html


def _is_link(url: str) -> bool:
    """Return whether an address in a journal, which may be a stranger's, is one of the web."""
    return len(url) <= _LONGEST and url.startswith(("http://", "https://")) and printable(url) == url


def _file(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters |= {"number": _number, "plural": _plural, "time": _time, "signed": _signed}
    return environment


def _shown(value: Any) -> Any:
    """Return what stands in the page for a value; Jinja2 escapes it afterwards."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return _NONE
    if isinstance(value, bool | list | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = printable(str(value)[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _number(value: float | int | None) -> str:
    if value is None:
        return _NONE
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.6g}"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + _number(value)


def _plural(count: int, noun: str) -> str:
    return f"{_number(count)} {noun}{'' if count == 1 else 's'}"


def _time(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else _NONE


def _check_status(result: CheckResult) -> str:
    return "warning" if result.status == "failed" and result.severity != "error" else result.status


def _severity(result: CheckResult) -> int:
    status = _check_status(result)
    return _ORDER.index(status) if status in _ORDER else 0


def _verdict(review: Review) -> tuple[str, str]:
    """Return the word that a reviewer looks for first, and the class of its colour."""
    run = review.comparison.new.run
    if run and run.status in ("failed", "interrupted", "refused"):
        return f"Run {run.status}, not published", "bad"
    counts = dict.fromkeys(_ORDER, 0)
    for result in review.comparison.checks:
        counts[_check_status(result)] = counts.get(_check_status(result), 0) + 1
    noted = ", ".join(f"{counts[status]} {status}" for status in _ORDER if counts[status])
    if not noted:
        return "No checks", "neutral"
    level = "bad" if counts["failed"] else "warn" if counts["warning"] or counts["accepted"] else "good"
    return f"Checks: {noted}", level


def _drawn(picture: Picture, tables: list[str]) -> dict[str, Any]:
    """Return the boxes and arrows of the pipeline; nothing of one that is too large to be looked at."""
    boxes: dict[str, dict[str, Any]] = {}
    for dataset in picture.datasets:
        counts = ""
        if dataset.table:
            old, new = _number(dataset.old_count), _number(dataset.new_count)
            same = dataset.old_count == dataset.new_count
            counts = f"{new} rows" if same else f"{old} → {new} rows"
        link = f"#t{tables.index(dataset.table)}" if dataset.table in tables else None
        status = dataset.status.replace(" ", "-")
        boxes[f"d{dataset.name}"] = {
            "name": dataset.name, "kind": "dataset", "status": status, "word": dataset.status,
            "note": counts or ("file" if dataset.file else "not kept"), "link": link,
        }  # fmt: skip
    for node in picture.nodes:
        status, words = node.status.replace(" ", "-"), node.status
        if node.diff:
            status, words = f"{status} edited", f"{words}, {node.diff.words}"
        boxes[f"n{node.name}"] = {
            "name": node.name, "kind": "node", "status": status, "word": words, "note": words, "link": None,
        }  # fmt: skip
    if not 0 < len(boxes) <= _MOST_BOXES:
        return {"boxes": [], "listed": list(boxes.values())}
    sizes = {}
    for name, box in boxes.items():
        text = printable(box["name"])
        box["label"] = text if len(text) <= _LABEL else f"{text[:18]}…{text[-11:]}"
        sizes[name] = (max(max(len(box["label"]), len(box["note"])) * 7.3 + 16, 80), 42)
    arrows = [
        (f"d{dataset}", f"n{node}") if load else (f"n{node}", f"d{dataset}")
        for dataset, node, load in picture.arrows
    ]
    layout = laid_out(sizes, arrows)
    moved = {name for name, box in boxes.items() if box["status"] in ("changed", "new", "gone")}
    paths = [
        (path, "moved" if (one if one.startswith("d") else other) in moved else "")
        for one, other, path in layout.paths
    ]
    placed = [{**box, "box": layout.boxes[name]} for name, box in boxes.items()]
    return {
        "boxes": placed, "listed": list(boxes.values()), "paths": paths, "width": round(layout.width),
        "height": round(layout.height),
    }  # fmt: skip


def _others(review: Review) -> list[str]:
    """Return the tables of the picture that differ, and that the review was not asked for."""
    # A catalog may write a table's name in other letters than Dolt does.
    asked_for = {table.diff.change.table.lower() for table in review.tables}
    differing = (each for each in review.picture.datasets if each.status in ("changed", "new", "gone"))
    return sorted({each.table for each in differing if each.table and each.table.lower() not in asked_for})


def _columns(table: TableReview) -> list[ColumnProfile]:
    return list(table.profile.columns.values())


def _unprofiled(table: TableReview) -> str:
    """Return what the profile of a table leaves out; nothing if that is nothing."""
    notes = []
    if table.total > PROFILED:
        notes.append(f"of the first {_number(PROFILED)} of {_number(table.total)} rows")
    if table.profile.left_out:
        notes.append(f"without {_plural(len(table.profile.left_out), 'more column')}")
    return ", ".join(notes)


def _bars(column: ColumnProfile) -> list[dict[str, float]]:
    """Return the bars of a histogram in a box of 120 by 40: what was above the line, what is below it."""
    bins = column.bins()
    highest = max(max(pair) for pair in bins) or 1
    width, start = 6.0, 0 if len(bins) > 1 else 57
    bars = []
    for place, (old, new) in enumerate(bins):
        heights = [max(round(19 * count / highest, 1), 0.5) if count else 0 for count in (old, new)]
        bars.append({"x": start + place * width, "old": heights[0], "new": heights[1]})
    return bars
