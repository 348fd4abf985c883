"""The nodes whose code or parameters differ between two runs, as far as that is on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..incremental.packages import is_version

if TYPE_CHECKING:
    from ..journal.store import Execution, Run

# How many of them are named in a text.
MOST_NODES = 20


@dataclass(frozen=True)
class NodeDiff:
    """A node of which more than the data differs between two runs.

    Attributes:
        node: its name.
        code: whether the code does that it runs in the project's own packages.
        parameters: the names of the parameters that it loads and that do.
    """

    node: str
    code: bool
    parameters: tuple[str, ...]

    @property
    def words(self) -> str:
        """What differs, in words."""
        if self.code and self.parameters:
            return "code and parameters changed"
        return "code changed" if self.code else "parameters changed"

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON holds it."""
        return {"node": self.node, "code": self.code, "parameters": list(self.parameters)}


def differing_nodes(
    old: Run | None, new: Run | None, before: Iterable[Execution], after: Iterable[Execution]
) -> list[NodeDiff]:
    """Return the nodes of both runs whose code or parameters are known to differ.

    Args:
        old: the one run.
        new: the other.
        before: what became of the nodes of the one.
        after: of the other.

    Returns:
        Nothing if the hashes were made in different ways: by another version of the library or of Python,
        which may have other syntax trees for the same text.
    """
    if old is None or new is None or _method(old) != _method(new):
        return []
    earlier = {one.node: one for one in before}
    found = []
    for now in after:
        if (then := earlier.get(now.node)) is None or not (then.code and now.code):
            continue
        code = _own(then.code) != _own(now.code)
        names = {*then.params, *now.params}
        params = tuple(sorted(name for name in names if then.params.get(name) != now.params.get(name)))
        if code or params:
            found.append(NodeDiff(now.node, code, params))
    return found


def _method(run: Run) -> tuple[str, list[str]]:
    python = str(run.versions.get("python", "")).split(".")[:2]
    return str(run.versions.get("kedro-doltdb", "")), python


def _own(code: Mapping[str, str]) -> dict[str, str]:
    """Return the hashes of the project's own code: `packages` in dolt.yml adds the versions of others."""
    return {name: one for name, one in code.items() if not is_version(name)}
