"""The source of code that was imported: its syntax trees, and whether they are those of what runs."""

from __future__ import annotations

import ast
import hashlib
import linecache
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
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


class Source:
    """The source of a module as it is on disk now.

    Args:
        filename: as code objects name it.

    Raises:
        UntoldError: it cannot be read.
    """

    def __init__(self, filename: str) -> None:
        self.filename = filename
        try:
            path = Path(filename)
            text: bytes | str = path.read_bytes() if path.is_file() else "".join(linecache.getlines(filename))
            if not text:
                raise UntoldError(f"the source of {path.name} is not there")
            self.tree = ast.parse(text, filename)
            code = compile(self.tree, filename, "exec", dont_inherit=True)
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            raise UntoldError(f"the source of {Path(filename).name} cannot be read") from error
        self._functions: dict[tuple[str, int], list[Function]] = {}
        self._classes: dict[str, list[ast.ClassDef]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, _FUNCTIONS):
                self._functions.setdefault((_name(node), _first_line(node)), []).append(node)
        for qualname, class_ in _classes(self.tree, ""):
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
        """The statements of the module itself that define and import nothing: calls, conditions, loops."""
        plain = (*_DEFINITIONS, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Pass)
        return [
            node
            for node in self.tree.body
            if not isinstance(node, plain) and not _is_text(node) and not _is_guarded(node)
        ]

    # Each function of a module asks for it.
    @cached_property
    def rebound(self) -> set[str]:
        """The names of the module's variables that its functions bind anew."""
        return {name for node in ast.walk(self.tree) if isinstance(node, ast.Global) for name in node.names}

    def assigned(self) -> Iterator[str]:
        """Yield the names on which the module's functions set attributes: ``module.name = ...``."""
        for function in ast.walk(self.tree):
            if isinstance(function, _FUNCTIONS):
                for node in ast.walk(function):
                    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
                        yield from (node.value.id,) if isinstance(node.value, ast.Name) else ()

    def changed(self) -> Iterator[str]:
        """Yield the names that the module's functions change the value of, in place: ``CACHE[key] = ...``."""
        for function in ast.walk(self.tree):
            if isinstance(function, _FUNCTIONS):
                own = _bound_in(function)
                yield from (name for name in _changed_in(function) if name not in own)


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
    """Return the hash of syntax trees. Comments, layout and docstrings make no difference to it."""
    digest = hashlib.sha256()
    for node in nodes:
        digest.update(_text(node).encode(errors="surrogatepass"))
    return digest.hexdigest()


def _text(value: object) -> str:
    if isinstance(value, ast.AST):
        parts = []
        for name in value._fields:
            field = getattr(value, name, None)
            if name == "body" and isinstance(value, (*_DEFINITIONS, ast.Module)) and field:
                field = field[1:] if _is_text(field[0]) else field
            # Newer Pythons add fields that are empty.
            if field is not None and field != [] and name not in ("ctx", "type_comment", "kind"):
                parts.append(f"{name}={_text(field)}")
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


def _bound_in(function: ast.AST) -> set[str]:
    """Return the names that are local to a function."""
    bound, elsewhere = set(), set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            elsewhere.update(node.names)
    return bound - elsewhere


def _changed_in(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        target: ast.AST | None = None
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            target = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = node.func.value if node.func.attr in _CHANGING else None
        while isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
        if isinstance(target, ast.Name):
            yield target.id
