"""The code that a function runs in the project's own packages, as one fingerprint.

From the function on, what its names refer to is followed: functions, classes, values. What cannot be followed
is told as a reason why the code counts as changed. Code of other packages is named, not followed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from abc import ABCMeta
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, MethodType, ModuleType
from typing import Any

from .names import Names, imported_by, is_dynamic, names_in, resolve
from .owned import Owned
from .source import Source, UntoldError, assigned_in, source_of, tree_hash
from .values import value_hash

_LENGTH = 16
_DATA = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, type(None))


@dataclass(frozen=True)
class Fingerprint:
    """The code of a function.

    Attributes:
        parts: the hash of each definition that it refers to, itself included, by dotted name.
        untold: why it cannot be compared, if it cannot.
        packages: the top-level modules of other packages that it refers to.
    """

    parts: dict[str, str]
    untold: tuple[str, ...] = ()
    packages: frozenset[str] = frozenset()


@dataclass
class _Part:
    """A definition of the project's own."""

    name: str
    hash: str = ""
    texts: list[str] = field(default_factory=list)
    refers: set[str] = field(default_factory=set)
    untold: list[str] = field(default_factory=list)
    packages: set[str] = field(default_factory=set)
    # What it reads that functions may change in place, by the id of the object, and how it calls that.
    objects: dict[int, str] = field(default_factory=dict)


class Fingerprints:
    """Makes the fingerprints of functions, each definition once.

    Args:
        package: the project's package.
        always: modules that every function may depend on by what they do when they are imported.
    """

    def __init__(self, package: str | None = None, always: Iterable[str] = ()) -> None:
        self._owned = Owned(package)
        self._always = tuple(always)
        self._parts: dict[str, _Part] = {}
        self._waiting: list[Callable[[], None]] = []
        # By the ids of objects, which are kept so that no other gets the id of one.
        self._known: dict[int, str] = {}
        self._kept: list[Any] = []
        self._modules: dict[str, ModuleType] = {}
        self._changed: dict[int, str] = {}
        self._unsure: set[str] = set()

    def of(self, functions: dict[str, Callable[..., Any]]) -> dict[str, Fingerprint]:
        """Return the fingerprints of functions that run in one process, by the same names.

        They belong together: one may change what another reads.
        """
        roots = {name: self._root(name, function) for name, function in functions.items()}
        while self._waiting:
            self._waiting.pop()()
        self._note_changed()
        return {name: self._whole(root) for name, root in roots.items()}

    def _root(self, name: str, function: Callable[..., Any]) -> _Part:
        root = _Part("")
        self._bind_value(root, "function", function)
        for module in self._always:
            self._note_module_named(root, module)
        root.hash = _hash(root)
        return root

    def _whole(self, root: _Part) -> Fingerprint:
        seen: dict[str, _Part] = {"": root}
        waiting = [root]
        while waiting:
            for name in waiting.pop().refers - seen.keys():
                seen[name] = self._parts[name]
                waiting.append(self._parts[name])
        untold = [
            f"{part.name}: {why}" if part.name else why for part in seen.values() for why in part.untold
        ]
        for part in seen.values():
            untold += [
                f"{part.name}: `{label}` is changed by {self._changed[place]}"
                for place, label in part.objects.items()
                if place in self._changed
            ]
        untold += self._unsure
        packages = frozenset(name for part in seen.values() for name in part.packages)
        # Most modules do nothing but define and import.
        parts = {name: part.hash for name, part in sorted(seen.items()) if part.texts}
        return Fingerprint(parts, tuple(sorted(set(untold))), packages)

    def _follow(self, part: _Part, value: Any) -> str:
        """Return the name of a function, a class or a module; what is the project's is looked into."""
        if isinstance(value, MethodType):
            return f"{self._follow(part, value.__func__)} of {self._value_hash(part, value.__self__)}"
        if isinstance(value, FunctionType) and self._owned.file(value.__code__.co_filename):
            name = f"{value.__module__}.{value.__qualname__}{_mark(value)}"
            name = self._part(value, name, self._look_into_function)
        elif isinstance(value, type) and self._owned.class_(value):
            name = self._part(value, f"{value.__module__}.{value.__qualname__}", self._look_into_class)
        elif isinstance(value, ModuleType):
            if self._owned.module(value):
                raise UntoldError(f"the module {value.__name__} is used as a value")
            part.packages.add(value.__name__.partition(".")[0])
            return value.__name__
        else:
            return self._foreign(part, value)
        part.refers.add(name)
        return name

    def _foreign(self, part: _Part, value: Any) -> str:
        if is_dynamic(value):
            raise UntoldError(f"it uses `{value.__name__}`")
        if isinstance(value, FunctionType):
            if self._owned.module(sys.modules.get(str(value.__globals__.get("__name__")))):
                raise UntoldError(f"the source of {value.__qualname__} is not there")
            # A decorator of another package holds our function in its closure.
            module = str(value.__globals__.get("__name__"))
            name = f"{module}.{value.__code__.co_name}"
            cells = [_content(cell) for cell in value.__closure__ or ()]
            if cells:
                name += f" with {self._value_hash(part, cells)}"
        else:
            module = str(getattr(value, "__module__", None) or "builtins")
            if not isinstance(value, type) and self._owned.module(sys.modules.get(module)):
                raise UntoldError(f"{getattr(value, '__qualname__', value)!r} is compiled code")
            name = f"{module}.{getattr(value, '__qualname__', repr(type(value)))}"
            bound = getattr(value, "__self__", None)
            if bound is not None and not isinstance(bound, ModuleType | type):
                name += f" of {self._value_hash(part, bound)}"
        part.packages.add(module.partition(".")[0])
        return name

    def _part(self, value: Any, name: str, look: Callable[[_Part, Any], None]) -> str:
        if id(value) in self._known:
            return self._known[id(value)]
        # Functions that are made in another one have a name in common, and so have lambdas.
        number, free = 2, name
        while free in self._parts:
            number, free = number + 1, f"{name}#{number}"
        part = self._parts[free] = _Part(free)
        self._known[id(value)] = free
        self._kept.append(value)

        def work() -> None:
            try:
                look(part, value)
            except UntoldError as error:
                part.untold.append(str(error))
            part.hash = _hash(part)

        self._waiting.append(work)
        return free

    def _look_into_function(self, part: _Part, function: FunctionType) -> None:
        code, variables = function.__code__, function.__globals__
        source = source_of(code.co_filename)
        definitions = source.functions(code)
        part.texts += [tree_hash(*definitions), source.which(code)]
        self._note_module(part, variables.get("__name__"), source)
        names = Names(variables, self._owned.module, self._binder(part, source.rebound), part.untold.append)
        for definition in definitions:
            # Those of decorators and defaults are names of the module.
            outside = {
                node.id
                for one in (*getattr(definition, "decorator_list", ()), definition.args)
                for node in _names(one)
            }
            names.find(definition, source.uses[definition], names_in(code) | outside, code)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self._bind_value(part, f"{name} of the closure", _content(cell), mutable=True)
        for number, value in enumerate(function.__defaults__ or ()):
            self._bind_value(part, f"default {number}", value)
        for name, value in (function.__kwdefaults__ or {}).items():
            self._bind_value(part, f"default of {name}", value)

    def _look_into_class(self, part: _Part, class_: type[Any]) -> None:
        module = sys.modules.get(class_.__module__)
        for base in class_.__bases__:
            self._bind_value(part, "base", base)
        self._bind_value(part, "metaclass", type(class_))
        if issubclass(class_, tuple) and "_field_defaults" in vars(class_):
            self._bind_value(part, "fields", (vars(class_).get("_fields"), vars(class_)["_field_defaults"]))
        file = getattr(module, "__file__", None)
        definitions = source_of(file).classes(class_.__qualname__) if file else []
        if not definitions:
            if not (issubclass(class_, tuple) and hasattr(class_, "_fields")):
                raise UntoldError("the class is not in the source of its module")
            return
        source = source_of(str(file))
        part.texts.append(tree_hash(*definitions))
        variables = vars(module)
        self._note_module(part, class_.__module__, source)
        finder = Names(variables, self._owned.module, self._binder(part, source.rebound), part.untold.append)
        for definition in definitions:
            # The bodies of methods are looked into with what runs, below.
            uses = source.uses[definition]
            finder.find(definition, uses, uses.names & variables.keys())
            # Such as one that is read from the environment when the module is imported.
            for name in assigned_in(definition) & vars(class_).keys():
                self._bind_value(part, name, vars(class_)[name])
        if type(class_) in (type, ABCMeta):
            # Metaclasses of other kinds add what they like.
            self._bind_set_elsewhere(part, class_, {name for one in definitions for name in assigned_in(one)})
        for name, value in list(vars(class_).items()):
            for inner in _functions_in(value):
                if isinstance(inner, FunctionType) and self._owned.file(inner.__code__.co_filename):
                    self._bind_value(part, name, inner)

    def _bind_set_elsewhere(self, part: _Part, class_: type[Any], own: set[str]) -> None:
        """Bind the attributes of a class that other code has given it, such as ``Options.limit = 3``."""
        for name, value in list(vars(class_).items()):
            if name not in own and not name.startswith("_") and isinstance(value, _DATA):
                self._bind_value(part, name, value)

    def _binder(self, part: _Part, rebound: set[str]) -> Callable[[str, Any], None]:
        def bind(name: str, value: Any) -> None:
            if name in rebound:
                part.untold.append(f"the global variable `{name}` is assigned by a function")
            self._bind_value(part, name, value, mutable=True)

        return bind

    def _bind_value(self, part: _Part, label: str, value: Any, *, mutable: bool = False) -> None:
        if mutable and not isinstance(value, ModuleType):
            part.objects[id(value)] = label
            self._kept.append(value)
        try:
            part.texts.append(f"{label}={self._value_hash(part, value)}")
        except UntoldError as error:
            part.untold.append(f"`{label}`: {error}")

    def _value_hash(self, part: _Part, value: Any) -> str:
        return value_hash(value, functools.partial(self._follow, part))

    def _note_module(self, part: _Part, name: Any, source: Source) -> None:
        """Let a definition depend on what its module does when it is imported, beside defining things.

        The same holds of the modules that are imported with it: they may change classes of other packages.
        """
        module = sys.modules.get(str(name))
        if module is None or getattr(module, "__file__", None) != source.filename:
            return
        key = f"{name} (statements)"
        part.refers.add(key)
        if key in self._parts:
            return
        self._modules[str(name)] = module
        statements = self._parts[key] = _Part(key)
        if trees := source.statements:
            statements.texts.append(tree_hash(*trees))
        for tree in trees:
            resolve(module, tree, functools.partial(self._bind_value, statements))
        for other in imported_by(module, source.imports):
            self._note_module_named(statements, other)
        statements.hash = _hash(statements)

    def _note_module_named(self, part: _Part, name: str) -> None:
        module = sys.modules.get(name)
        if self._owned.module(module) and (file := getattr(module, "__file__", None)):
            try:
                self._note_module(part, name, source_of(file))
            except UntoldError as error:
                part.untold.append(f"the module {name}: {error}")

    def _note_changed(self) -> None:
        """Note the objects that functions of the modules seen change in place."""
        # Small numbers and texts are one object everywhere, and cannot be changed.
        fixed = (int, float, str, bytes, tuple, type(None), ModuleType)
        for name, module in self._modules.items():
            source = source_of(str(module.__file__))
            for variable in source.changed:
                value = getattr(module, variable, None)
                if not isinstance(value, fixed):
                    self._changed[id(value)] = f"a function of {name}"
            for variable in source.assigned:
                if self._owned.module(getattr(module, variable, None)):
                    self._unsure.add(f"a function of {name} sets variables of the module `{variable}`")


def _names(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))


def _mark(function: FunctionType) -> str:
    """Return what tells a lambda from others, whichever of them a run has: they have one name."""
    if function.__name__ != "<lambda>":
        return ""
    try:
        definitions = source_of(function.__code__.co_filename).functions(function.__code__)
        return f"~{tree_hash(*definitions)[:_LENGTH]}"
    except UntoldError:
        return ""


def _functions_in(value: Any) -> list[Any]:
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    return [getattr(value, "__func__", getattr(value, "func", getattr(value, "__wrapped__", value)))]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        # Of a function that refers to itself, before it was defined.
        return None


def _hash(part: _Part) -> str:
    texts = "\n".join([part.name.partition("#")[0], *sorted(part.texts)])
    return hashlib.sha256(texts.encode(errors="backslashreplace")).hexdigest()[:_LENGTH]
