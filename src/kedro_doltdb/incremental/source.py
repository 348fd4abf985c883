"""The source of code that was imported: its syntax trees, and whether they are those of what runs."""

from __future__ import annotations

import ast
import hashlib
import linecache
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = frozenset((*_FUNCTIONS, ast.ClassDef))
_NOTED = frozenset(
    (
        ast.Name, ast.arg, ast.Attribute, ast.Subscript, ast.Call, ast.Import, ast.ImportFrom, ast.Global,
        ast.Nonlocal,
    )
)  # fmt: skip
_NO_CODE = frozenset(("ctx", "type_comment", "kind"))
# Methods that change what they are called on, if that is a list, a set, a dictionary or a deque.
_CHANGING = frozenset(
    (
        "add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "pop", "popitem",
        "popleft", "remove", "reverse", "setdefault", "sort", "update", "difference_update",
        "intersection_update", "symmetric_difference_update",
    )
)  # fmt: skip


class UntoldError(Exception):
    """What code does cannot be told from its source; the message says why."""


@dataclass
class Uses:
    """What is in a function or a class, with all that is inside of it.

    Attributes:
        names: the names in it, whatever they stand for.
        imports: its import statements.
        bound: the names that it, or a function inside of it, gives a value to.
        elsewhere: those of them that are variables of another scope: ``global`` and ``nonlocal``.
        changed: the names of what it changes in place.
        in_function: whether it is called, or inside of what is.
    """

    in_function: bool
    names: set[str] = field(default_factory=set)
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    bound: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)


class Source:
    """The source of a module as it is on disk now.

    Args:
        filename: as code objects name it.

    Attributes:
        uses: what is in each function and each class.
        rebound: the names of the module's variables that its functions bind anew.
        assigned: the names on which its functions set attributes: ``module.name = ...``.
        changed: the names that its functions change the value of, in place: ``CACHE[key] = ...``.

    Raises:
        UntoldError: it cannot be read.
    """

    def __init__(self, filename: str) -> None:
        self.filename = filename
        try:
            path = Path(filename)
            is_file = path.is_file()
            text: bytes | str = path.read_bytes() if is_file else "".join(linecache.getlines(filename))
            if not text and not is_file:
                raise UntoldError(f"the source of {path.name} is not there")
            self.tree = ast.parse(text, filename)
            code = compile(self.tree, filename, "exec", dont_inherit=True)
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            raise UntoldError(f"the source of {Path(filename).name} cannot be read") from error
        self._functions: dict[tuple[str, int], list[Function]] = {}
        self._classes: dict[str, list[ast.ClassDef]] = {}
        self.uses: dict[ast.AST, Uses] = {}
        self.rebound: set[str] = set()
        self.assigned: set[str] = set()
        self.changed: set[str] = set()
        self._survey()
        has_classes = any(isinstance(node, ast.ClassDef) for node in self.uses)
        for qualname, class_ in _classes(self.tree, "") if has_classes else ():
            self._classes.setdefault(qualname, []).append(class_)
        self._codes: dict[tuple[str, int], list[CodeType]] = {}
        for inner in _inner(code):
            self._codes.setdefault((inner.co_name, inner.co_firstlineno), []).append(inner)

    def functions(self, code: CodeType) -> list[Function]:
        """Return the definition of a function; several where a line has several lambdas.

        Raises:
            UntoldError: the source is not what was imported.
        """
        place = code.co_name, code.co_firstlineno
        found = self._functions.get(place, [])
        if not found or not any(_same(code, other) for other in self._codes.get(place, ())):
            raise UntoldError(f"{Path(self.filename).name} is not as it was when it was imported")
        return found

    def which(self, code: CodeType) -> str:
        """Return which of those of its name and line a function is: a line may have several lambdas."""
        others = self._codes.get((code.co_name, code.co_firstlineno), [])
        return ",".join(str(number) for number, other in enumerate(others) if _same(code, other))

    def classes(self, qualname: str) -> list[ast.ClassDef]:
        """Return the definitions of a class: more than one where conditions choose."""
        return self._classes.get(qualname, [])

    @property
    def statements(self) -> list[ast.stmt]:
        """The statements of the module itself that define and import nothing: calls, conditions, loops.

        Also those that change what is elsewhere, as ``pd.DataFrame.total = total`` does.
        """
        plain = (*_DEFINITIONS, ast.Import, ast.ImportFrom, ast.Pass)
        return [
            node
            for node in self.tree.body
            if not isinstance(node, plain)
            and not _is_plain_assignment(node)
            and not _is_text(node)
            and not _is_guarded(node)
        ]

    @property
    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        """The imports that are done when the module is imported itself."""
        return [
            inner
            for node in self.tree.body
            if not isinstance(node, _DEFINITIONS)
            for inner in ast.walk(node)
            if isinstance(inner, ast.Import | ast.ImportFrom)
        ]

    def _survey(self) -> None:
        """Note what is where, in one walk: every run begins with it, however much code there is."""
        todo: list[tuple[ast.AST, tuple[Uses, ...]]] = [(self.tree, ())]
        while todo:
            node, around = todo.pop()
            kind = type(node)
            if kind in _SCOPES:
                uses = Uses(kind is not ast.ClassDef or bool(around and around[-1].in_function))
                self.uses[node] = uses
                around = (*around, uses)
                if isinstance(node, _FUNCTIONS):
                    self._functions.setdefault((_name(node), _first_line(node)), []).append(node)
            elif isinstance(node, ast.Global):
                self.rebound.update(node.names)
            if around and kind in _NOTED:
                self._note(node, around)
            for name in node._fields:
                inner = getattr(node, name, None)
                if isinstance(inner, list):
                    todo += [(one, around) for one in inner if isinstance(one, ast.AST)]
                # Those without fields are `Load`, `Add` and the like: half of all.
                elif isinstance(inner, ast.AST) and inner._fields:
                    todo.append((inner, around))
        for node, uses in self.uses.items():
            if isinstance(node, _FUNCTIONS):
                self.changed |= uses.changed - (uses.bound - uses.elsewhere)

    def _note(self, node: ast.AST, around: tuple[Uses, ...]) -> None:
        """Note what one node says of the definitions around it."""
        if isinstance(node, ast.Name):
            for one in around:
                one.names.add(node.id)
                if isinstance(node.ctx, ast.Store):
                    one.bound.add(node.id)
        elif isinstance(node, ast.arg):
            for one in around:
                one.bound.add(node.arg)
        elif isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
            if target := _changed_by(node):
                for one in around:
                    one.changed.add(target)
            is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del)
            if is_set and around[-1].in_function and isinstance(node.value, ast.Name):  # type: ignore[union-attr]
                self.assigned.add(node.value.id)  # type: ignore[union-attr]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for one in around:
                one.imports.append(node)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            for one in around:
                one.elsewhere.update(node.names)


@lru_cache(maxsize=512)
def _source(filename: str, size: int, changed: int) -> Source:
    return Source(filename)


def source_of(filename: str) -> Source:
    """Return the source of a file, from memory if the file is as it was.

    Raises:
        UntoldError: it cannot be read.
    """
    try:
        stat = Path(filename).stat()
    except (OSError, ValueError):
        return Source(filename)
    return _source(filename, stat.st_size, stat.st_mtime_ns)


def tree_hash(*nodes: ast.AST) -> str:
    """Return the hash of syntax trees. Comments, layout and docstrings make no difference to it.

    Raises:
        UntoldError: they are nested too deep.
    """
    digest = hashlib.sha256()
    try:
        for node in nodes:
            digest.update(_text(node).encode(errors="surrogatepass"))
    except RecursionError:
        raise UntoldError("it is nested too deep") from None
    return digest.hexdigest()


def _text(value: object) -> str:
    if isinstance(value, str):
        return f"str:{value!r}"
    if isinstance(value, ast.AST):
        parts = []
        for name in value._fields:
            if name in _NO_CODE:
                continue
            inner = getattr(value, name, None)
            if name == "body" and isinstance(value, (*_DEFINITIONS, ast.Module)) and inner:
                inner = inner[1:] if _is_text(inner[0]) else inner
            # Newer Pythons add fields that are empty.
            if inner is not None and inner != []:
                parts.append(f"{name}={_text(inner)}")
        return f"{type(value).__name__}({','.join(parts)})"
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return f"{type(value).__name__}:{value!r}"


def assigned_in(definition: ast.ClassDef) -> set[str]:
    """Return the names that the body of a class gives a value to."""
    found = set()
    for node in definition.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {one.id for one in targets if isinstance(one, ast.Name)}
    return found


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_plain_assignment(node: ast.AST) -> bool:
    """Return whether a statement only gives values to variables of the module."""
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return not any(
        isinstance(inner, ast.Attribute | ast.Subscript) for one in targets for inner in ast.walk(one)
    )


def _is_guarded(node: ast.AST) -> bool:
    """Return whether a statement is under ``if TYPE_CHECKING`` or ``if __name__ == "__main__"``."""
    if not isinstance(node, ast.If) or node.orelse:
        return False
    return ast.unparse(node.test).replace('"', "'") in (
        "TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'",
    )  # fmt: skip


def _name(node: Function) -> str:
    return "<lambda>" if isinstance(node, ast.Lambda) else node.name


def _first_line(node: Function) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def _classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, child
            yield from _classes(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(child, f"{prefix}{child.name}.<locals>.")
        elif isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from _classes(child, prefix)


def _inner(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inner(constant)


def _same(one: CodeType, other: CodeType) -> bool:
    if len(one.co_consts) != len(other.co_consts):
        return False
    plain = ("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags", "co_argcount")
    if any(getattr(one, name) != getattr(other, name) for name in plain):
        return False
    return all(
        _same(mine, theirs)
        if isinstance(mine, CodeType) and isinstance(theirs, CodeType)
        # 1, 1.0 and True are equal; the order in a frozenset differs from process to process.
        else mine == theirs and type(mine) is type(theirs)
        if isinstance(mine, frozenset)
        else repr(mine) == repr(theirs)
        for mine, theirs in zip(one.co_consts, other.co_consts, strict=True)
    )


def _changed_by(node: ast.Attribute | ast.Subscript | ast.Call) -> str | None:
    """Return the name of what an expression changes in place, if it does."""
    target: ast.AST | None = None
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
            target = node.func.value
    elif isinstance(node.ctx, ast.Store | ast.Del):
        target = node.value
    while isinstance(target, ast.Attribute | ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None
