"""How values are written in one line: numbers, times, text, and two values that differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from ..terminal import printable

# Nobody reads more of a cell; JSON output has all of it.
LONGEST = 200

# From so many columns on, a list has room for times with a date and a time of day.
ROOMY = 100

# Of a shortened text, how much that is the same everywhere stays before what differs.
_BEFORE = 8


def number(value: float | Decimal | None) -> str:
    """Return a number as it is written everywhere; a dash for None.

    Whole ones are in full, others have six digits, or two decimals where they are large.
    """
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    real = float(value)
    if real.is_integer() and abs(real) < 1e15:
        return str(int(real))
    if 1e4 <= abs(real) < 1e15:
        return f"{real:.2f}".rstrip("0").rstrip(".")
    return f"{real:.6g}"


def shown(value: Any) -> str:
    """Return what :func:`whole` does, at most :data:`LONGEST` characters of it."""
    return elided(whole(value), LONGEST)


def whole(value: Any) -> str:
    """Return the value of a cell or parameter as one text."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        # Of a long one the beginning will do.
        return f"0x{value[:LONGEST].hex()}"
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping | list | bool):
        return printable(json.dumps(value, ensure_ascii=False, default=str))
    return number(value) if isinstance(value, int | float | Decimal) else printable(value)


def pair(old: Any, new: Any, longest: int = LONGEST) -> tuple[str, str]:
    """Return two values that differ as two texts that do, shortened around where they do."""
    texts = [whole(old), whole(new)]
    if texts[0] == texts[1]:
        # Numbers that differ in the digits left out, or a number and its text.
        texts = [whole(v) if isinstance(v, bool) else printable(repr(v)) for v in (old, new)]
    before, after = around(texts, longest)
    return before, after


def around(texts: Sequence[str], longest: int) -> list[str]:
    """Return texts of at most ``longest`` characters, what all of them begin with left out if need be."""
    if all(len(text) <= longest for text in texts):
        return list(texts)
    one, other = min(texts), max(texts)
    same = 0
    while one[same : same + 1] == other[same : same + 1] != "":
        same += 1
    start = min(same - _BEFORE, max(map(len, texts)) - longest + 1)
    return [elided(text if start <= 1 else "…" + text[start:], longest) for text in texts]


def elided(text: str, longest: int) -> str:
    """Return ``text``, its end cut off if it has more than ``longest`` characters."""
    return text if len(text) <= longest else text[: max(longest - 1, 0)] + "…"


def elided_name(name: str, longest: int) -> str:
    """Return a name, cut in the middle if it is long: the ends of names differ as often as the beginnings."""
    if len(name) <= longest:
        return name
    ending = longest // 3
    return f"{name[: longest - ending - 1]}…{name[-ending:]}"


def local_time(time: datetime | None) -> str:
    """Return a time of the journal in the reader's time zone; a dash for none."""
    return f"{_here(time):%Y-%m-%d %H:%M:%S}" if time else "-"


def moment(time: datetime | None, now: datetime, *, short: bool = False) -> str:
    """Return a time as lists have it; a dash for none.

    Args:
        time: the time, UTC.
        now: what counts as the present, UTC.
        short: whether only today's have a time of day.
    """
    if time is None:
        return "-"
    here, today = _here(time), _here(now).date()
    if not now - timedelta(days=180) < time < now + timedelta(days=1):
        return f"{here:%Y-%m}" if short else f"{here:%b %d  %Y}"
    if not short:
        return f"{here:%b %d %H:%M}"
    return f"{here:%H:%M}" if here.date() == today else f"{here:%b %d}"


def _here(time: datetime) -> datetime:
    return time.replace(tzinfo=timezone.utc).astimezone()


def duration(seconds: float | None) -> str:
    """Return how long something took in two units at most; a dash for None."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    minutes = round(seconds) // 60
    if minutes < 1:
        return f"{seconds:.0f}s"
    if minutes < 10:
        return f"{minutes}m{round(seconds) % 60:02}s"
    return f"{minutes}m" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"
