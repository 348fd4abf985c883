"""The one error type of the package."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from click import ClickException

from .terminal import printable


class DoltError(ClickException):
    """Something the user has to fix: what happened, why, and the command or setting that fixes it.

    It is a ``ClickException`` so that ``kedro run`` prints the message without a traceback where
    Kedro does not print one of its own; from Python it is an ordinary exception.

    Args:
        message: may hold names and values of any kind; they are made safe to print.

    Example:
        Catch one type, or all of them:

        >>> try:
        ...     raise PublishError("The run is not published: iris changed on main meanwhile.")
        ... except DoltError as error:
        ...     print(error.message)
        The run is not published: iris changed on main meanwhile.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, lines=True))


class ServerError(DoltError):
    """The Dolt server did not start, does not answer, or is not the one of this repository."""


class LeaseTakenError(ServerError):
    """Another process has the lease of that name."""


class InUseError(ServerError):
    """Another Dolt process has the repository open, and is no server that could be asked."""


class ConfigError(DoltError):
    """A setting or a run parameter has a value that cannot be used."""


class PublishError(DoltError):
    """A run's data could not be published to its target branch; the run's branch is kept."""


class CheckError(PublishError):
    """A check in ``dolt.yml``, or a test of Dolt's, does not hold of a run's data; its branch is kept."""


class RemoteError(DoltError):
    """The remote cannot be pulled from or pushed to; nothing was changed there or here."""


class BulkLoadError(DoltError):
    """A data frame cannot be stored exactly; nothing of it was kept."""


class QueryError(DoltError):
    """A query cannot be sent as it is written."""


def suggestion(given: object, known: Collection[str], prefix: str = "") -> str:
    """Return the hint that ends the error for an unknown name.

    Args:
        given: the unknown name.
        known: those that there are.
        prefix: what stands before each in the place where users write them.

    Returns:
        "did you mean `x`?", or "known are x, y, z."

    Example:
        >>> suggestion("prot", ["host", "port"])
        'did you mean `port`?'
    """
    if near := get_close_matches(str(given), known, n=1, cutoff=0.65):
        return f"did you mean `{prefix}{near[0]}`?"
    return f"known are {', '.join(known)}."
