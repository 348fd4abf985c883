"""What the names in a definition refer to."""

from __future__ import annotations

import ast
import builtins
import dis
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .source import Uses

# What finds code or values by a name that is only known when it runs.
_DYNAMIC = frozenset(["eval", "exec", "compile", "__import__", "globals", "locals", "vars"])
_BY_NAME = frozenset(["getattr", "setattr", "delattr", "hasattr"])
_OPERATORS = frozenset({"attrgetter", "methodcaller"})
_DYNAMIC_MODULES = frozenset({"importlib", "runpy", "pkgutil"})
_HIDDEN = frozenset({"__doc__", "__subclasses__", "__dict__", "__globals__", "__code__"})
_IN_QUERY = re.compile(r"@\s*([^\W\d]\w*)")
_MISSING = object()


def is_dynamic(value: Any) -> bool:
    """Return whether a function finds code or values by a name that is only known when it runs."""
    if getattr(builtins, name := str(getattr(value, "__name__", "")), None) is value:
        return name in _DYNAMIC | _BY_NAME
    return str(getattr(value, "__module__", "")).partition(".")[0] in _DYNAMIC_MODULES


class Names(ast.NodeVisitor):
    """Finds what a definition refers to.

    Args:
        variables: the global variables that it sees.
        is_own: whether a module is the project's.
        bind: called with each name, as it is written, and what it refers to.
        untold: called with what cannot be told.
    """

    def __init__(
        self,
        variables: Mapping[str, Any],
        is_own: Callable[[ModuleType], bool],
        bind: Callable[[str, Any], None],
        untold: Callable[[str], None],
    ) -> None:
        self._variables = variables
        self._is_own = is_own
        self._bind = bind
        self._untold = untold
        self._names: set[str] = set()
        self._modules: dict[str, ModuleType] = {}

    def find(self, node: ast.AST, uses: Uses, names: set[str], code: CodeType | None = None) -> None:
        """Look through a definition.

        Args:
            node: its syntax tree.
            uses: what is in it.
            names: the names in it that are no local variables, and possibly others.
            code: the function that it defines, if it is one.
        """
        self._names, self._modules = names, {}
        for inner in uses.imports:
            self._import(inner)
        unknown = []
        for name in sorted(names):
            value = self._variables.get(name, _MISSING)
            if value is _MISSING:
                unknown.append(name)
            elif value is os.environ:
                # Often only one variable of it is read: see below.
                continue
            elif isinstance(value, ModuleType):
                self._modules.setdefault(name, value)
            else:
                self._bind(name, value)
        # Nearly all of them are attributes.
        undefined = {name for name in unknown if name in uses.names and not hasattr(builtins, name)}
        for name in sorted(undefined & globals_in(code)) if undefined and code else ():
            self._untold(f"`{name}` is not defined")
        self.visit(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note what an import inside a function binds: the function would import it, too."""
        here = str(self._variables.get("__package__") or self._variables.get("__name__") or "")
        try:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    module = importlib.import_module(alias.name)
                    root = alias.name.partition(".")[0]
                    self._modules[alias.asname or root] = module if alias.asname else sys.modules[root]
                return
            name = "." * node.level + (node.module or "")
            module = importlib.import_module(name, here if node.level else None)
            for alias in node.names:
                value = getattr(module, alias.name, _MISSING)
                if value is _MISSING:
                    value = importlib.import_module(f"{module.__name__}.{alias.name}")
                if isinstance(value, ModuleType):
                    self._modules[alias.asname or alias.name] = value
                else:
                    self._bind(alias.asname or alias.name, value)
        # To import a module is to run it.
        except Exception:
            self._untold(f"`{ast.unparse(node)}` cannot be imported")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Follow ``module.name``, and refuse what reads code as data."""
        if node.attr in _HIDDEN:
            self._untold(f"it reads `{node.attr}`")
        path, root = [node.attr], node.value
        while isinstance(root, ast.Attribute):
            path.insert(0, root.attr)
            root = root.value
        if isinstance(root, ast.Name) and root.id in self._modules:
            self._follow(root.id, self._modules[root.id], path)
        else:
            self.generic_visit(node)

    def _follow(self, name: str, module: ModuleType, path: list[str]) -> None:
        value: Any = module
        for attribute in path:
            if not isinstance(value, ModuleType):
                break
            name, inner = f"{name}.{attribute}", getattr(value, attribute, _MISSING)
            if inner is _MISSING:
                return self._untold(f"`{name}` is not there")
            value = inner
        self._check_module(name, value) if isinstance(value, ModuleType) else self._bind(name, value)

    def _check_module(self, name: str, module: ModuleType) -> None:
        if self._is_own(module):
            self._untold(f"the module `{name}` is used as a value")
        elif module.__name__.partition(".")[0] in _DYNAMIC_MODULES:
            self._untold(f"it uses `{module.__name__}`")
        else:
            self._bind(name, module)

    def visit_Name(self, node: ast.Name) -> None:
        """Refuse what finds code by name, and modules that are passed around."""
        if node.id in self._modules:
            self._check_module(node.id, self._modules[node.id])
        elif self._value(node) is os.environ:
            self._bind(node.id, os.environ)
        elif node.id in (_DYNAMIC | _BY_NAME) and node.id in self._names and node.id not in self._variables:
            self._untold(f"it uses `{node.id}`")

    def visit_Constant(self, node: ast.Constant) -> None:
        """Follow ``"price > @LIMIT"``: pandas looks the variable up where `query` and `eval` are called."""
        for name in _IN_QUERY.findall(node.value) if isinstance(node.value, str) else ():
            value = self._variables.get(name, _MISSING)
            if isinstance(value, ModuleType):
                self._check_module(name, value)
            elif value is not _MISSING:
                self._bind(name, value)

    def visit_Call(self, node: ast.Call) -> None:
        """Let ``getattr(value, "name")`` pass, which is ``value.name``."""
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if self._reads_environment(node.func):
            return self._bind_environment(node.args[0] if node.args else None, node.args[1:])
        if name in _OPERATORS and not all(isinstance(one, ast.Constant) for one in node.args):
            self._untold(f"it uses `{name}` with a name that is computed")
        constant = len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
        if isinstance(node.func, ast.Name) and name in _BY_NAME and constant:
            target = node.args[0]
            if name != "hasattr" and isinstance(target, ast.Name) and target.id in self._modules:
                attribute = ast.Attribute(target, str(node.args[1].value), ast.Load())  # type: ignore[attr-defined]
                self.visit(attribute)
            else:
                self.visit(target)
            for one in (*node.args[2:], *node.keywords):
                self.visit(one)
        else:
            self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Let ``os.environ["NAME"]`` depend on that variable alone."""
        if self._value(node.value) is os.environ and isinstance(node.ctx, ast.Load):
            self._bind_environment(node.slice, [])
        else:
            self.generic_visit(node)

    def _reads_environment(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Attribute) and function.attr == "get":
            return self._value(function.value) is os.environ
        return self._value(function) is os.getenv

    def _bind_environment(self, name: ast.expr | None, others: list[ast.expr]) -> None:
        """Bind a variable of the environment, or all of them if it is not known which is read."""
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self._bind(f"the environment's {name.value}", os.environ.get(name.value))
        else:
            self._bind("the environment", os.environ)
            others = [*others, *([name] if name else [])]
        for one in others:
            self.visit(one)

    def _value(self, node: ast.expr) -> Any:
        """Return what a name, or one of a module, refers to outside of the definition; None if nothing."""
        if isinstance(node, ast.Name) and node.id in self._names:
            return self._modules.get(node.id, self._variables.get(node.id))
        if isinstance(node, ast.Attribute) and isinstance(module := self._value(node.value), ModuleType):
            return getattr(module, node.attr, None)
        return None


def names_in(code: CodeType) -> set[str]:
    """Return the names in a function, and in those inside it, that are no local variables."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= names_in(constant)
    return found


def globals_in(code: CodeType) -> set[str]:
    """Return the names that a function, and those inside it, load as global variables."""
    loads = ("LOAD_GLOBAL", "LOAD_NAME")
    found = {str(one.argval) for one in dis.get_instructions(code) if one.opname in loads}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= globals_in(constant)
    return found


def resolve(module: ModuleType, statement: ast.AST, bind: Callable[[str, Any], None]) -> None:
    """Bind the functions and classes that a statement of a module itself names."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and callable(value := getattr(module, node.id, None)):
            bind(node.id, value)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            root = getattr(module, node.value.id, None)
            if isinstance(root, ModuleType) and callable(value := getattr(root, node.attr, None)):
                bind(f"{node.value.id}.{node.attr}", value)


def imported_by(module: ModuleType, imports: Iterable[ast.Import | ast.ImportFrom]) -> set[str]:
    """Return the names of the modules that are imported with a module, its own packages included.

    Args:
        module: the module.
        imports: its import statements.
    """
    found = {module.__name__}
    for node in imports:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        name = "." * node.level + (node.module or "")
        try:
            name = importlib.util.resolve_name(name, module.__package__) if node.level else name
        except ImportError:
            continue
        found |= {name, *(f"{name}.{alias.name}" for alias in node.names)}
    parents = {one.rpartition(".")[0] for one in found}
    while parents - found:
        found |= parents
        parents = {one.rpartition(".")[0] for one in found}
    return {one for one in found - {module.__name__} if one in sys.modules}
