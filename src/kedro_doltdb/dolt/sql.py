"""Names as they stand in a statement."""

from __future__ import annotations


def quote(*names: str) -> str:
    """A name as it stands in a statement without bound values."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def identifier(name: str) -> str:
    """A name as it stands in a statement with bound values, whatever is in it: PyMySQL fills those in with
    Python's ``%``."""
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"
