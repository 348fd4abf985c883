"""Text that a traceback with local variables does not show."""

from __future__ import annotations

from typing import Any


class Secret(str):
    """A password: text like any other, but its ``repr`` is stars, and so are those of its parts."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __getitem__(self, key: Any) -> Secret:
        # Rich shows long text by its beginning.
        return Secret(super().__getitem__(key))


def hidden(value: Any) -> Any:
    """Return ``value`` with every text in it, however deep, a :class:`Secret`."""
    if isinstance(value, dict):
        return {key: hidden(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [hidden(item) for item in value]
    return Secret(value) if isinstance(value, str) else value
