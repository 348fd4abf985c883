"""Names as they stand in a statement."""

from __future__ import annotations


def quote(*names: str) -> str:
    """Return a name as it stands in a statement without bound values; several are joined by dots.

    Example:
        >>> quote("data", "50% off")
        '`data`.`50% off`'
    """
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def identifier(name: str) -> str:
    """Return a name as it stands in a statement with bound values, which PyMySQL fills in with ``%``.

    Example:
        >>> identifier("50% off")
        '`50%% off`'
    """
    return quote(name).replace("%", "%%")
