"""What of the project's code counts as changed, and what does not."""

# The tables of code are read line by line.
# ruff: noqa: E501

from __future__ import annotations

import ast
import functools
import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kedro_doltdb.incremental.fingerprint import Fingerprint, Fingerprints

PACKAGE = "shop_of_tests"


class Package:
    """A package of a project, imported again after each change."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / PACKAGE

    def write(self, files: dict[str, str]) -> None:
        for name, text in {"__init__.py": "", **files}.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            for directory in path.relative_to(self.directory).parents:
                (self.directory / directory / "__init__.py").touch()
            path.write_text(textwrap.dedent(text))

    def load(self, module: str = "nodes") -> Any:
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return importlib.import_module(f"{PACKAGE}.{module}")

    def of(self, files: dict[str, str], what: str = "node") -> Fingerprint:
        self.write(files)
        return Fingerprints(PACKAGE).of({"n": eval(what, vars(self.load()))})["n"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Package(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


BASE = {
    "nodes.py": """
        from . import helpers
        from .shapes import *
        from .helpers import scale as resize
        from .factories import timed, adder, Model
        import pandas as pd
        import logging
        import os

        LIMIT = 3
        UNUSED = 1
        SETTINGS = {"a": [1, 2], "b": {"c": 1.5}}
        logger = logging.getLogger(__name__)
        add = adder(2)
        model = Model(5)

        @timed
        def node(frame, *, most=LIMIT):
            '''Do it.'''
            logger.info("hello")
            total = helpers.distance(frame, SETTINGS["a"])
            total = resize(total) + area(total) + add(total) + model.apply(most)
            # A comment.
            return inner(total) or pd.DataFrame({"a": [total]})

        def inner(value):
            def nested(x):
                return x + deepest(x)
            return [nested(v) for v in [value]]

        def deepest(x):
            from .lazy import late
            return late(x)

        def unused():
            return 1
        """,
    "helpers.py": """
        from .deeper import square

        def distance(one, other):
            return square(one)

        def scale(x):
            return x * 2

        def other(x):
            return x * 3
        """,
    "deeper.py": """
        FACTOR = 2

        def square(x):
            return x ** FACTOR
        """,
    "shapes.py": """
        def area(x):
            return x

        def volume(x):
            return x
        """,
    "lazy.py": """
        def late(x):
            return x
        """,
    "factories.py": """
        import functools
        import threading

        def timed(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper

        def adder(n):
            def add(x):
                return x + n
            return add

        class Base:
            def half(self, x):
                return x / 2

        class Model(Base):
            '''A model.'''
            rate = 0.5

            def __init__(self, depth):
                self.depth = depth

            @property
            def twice(self):
                return self.depth * 2

            def apply(self, x):
                return self.half(x) * self.twice * self.rate
        """,
}


def changed(file: str, old: str, new: str) -> dict[str, str]:
    assert old in BASE[file]
    return {**BASE, file: BASE[file].replace(old, new)}


COUNT = {
    "the body": ("nodes.py", "or pd.DataFrame", "and pd.DataFrame"),
    "a helper": ("helpers.py", "return square(one)", "return square(other)"),
    "a helper two imports away": ("deeper.py", "x ** FACTOR", "x * FACTOR"),
    "a constant two imports away": ("deeper.py", "FACTOR = 2", "FACTOR = 3"),
    "a constant's type": ("deeper.py", "FACTOR = 2", "FACTOR = 2.0"),
    "a constant nested in another": ("nodes.py", '"c": 1.5', '"c": 1.6'),
    "the order of a mapping": ("nodes.py", '{"a": [1, 2], "b": {"c": 1.5}}', '{"b": {"c": 1.5}, "a": [1, 2]}'),
    "a default argument": ("nodes.py", "LIMIT = 3", "LIMIT = 4"),
    "a decorator": ("factories.py", "return function(*args, **kwargs)", "return function(*args)"),
    "what a decorator does once": ("factories.py", "def timed(function):", "def timed(function):\n            print()"),
    "the decorator left out": ("nodes.py", "@timed\n", "\n"),
    "a closure's value": ("nodes.py", "adder(2)", "adder(3)"),
    "a closure's code": ("factories.py", "return x + n", "return x - n"),
    "a name behind a star": ("shapes.py", "def area(x):\n            return x", "def area(x):\n            return -x"),
    "a name behind an alias": ("helpers.py", "x * 2", "x * 4"),
    "what an alias names": ("nodes.py", "import scale as resize", "import other as resize"),
    "a nested function": ("nodes.py", "return x + deepest(x)", "return x - deepest(x)"),
    "a function that is called in a nested one": ("lazy.py", "return x", "return -x"),
    "a method": ("factories.py", "self.half(x) * self.twice", "self.half(x) + self.twice"),
    "a property": ("factories.py", "self.depth * 2", "self.depth * 3"),
    "a base class": ("factories.py", "x / 2", "x / 3"),
    "an attribute of a class": ("factories.py", "rate = 0.5", "rate = 0.6"),
    "the state of an instance": ("nodes.py", "Model(5)", "Model(6)"),
    "a logger's name": ("nodes.py", "getLogger(__name__)", "getLogger('x')"),
    "what a module does": ("nodes.py", "UNUSED = 1", "UNUSED = 1\n        pd.set_option('display.width', 80)"),
}  # fmt: skip

MAKE_NO_DIFFERENCE = {
    "a comment": ("nodes.py", "# A comment.", "# Another."),
    "a docstring": ("nodes.py", "Do it.", "Do that."),
    "a class's docstring": ("factories.py", "A model.", "The model."),
    "the layout": ("nodes.py", "resize(total) + area(total)", "(resize(total)\n                + area(total))"),
    "a blank line": ("deeper.py", "FACTOR = 2", "\n\n        FACTOR = 2"),
    "quotes": ("nodes.py", '["a"]', "['a']"),
    "a function that it does not use": ("nodes.py", "def unused():\n            return 1", "def unused():\n            return 2"),
    "a helper that it does not use": ("shapes.py", "def volume(x):\n            return x", "def volume(x):\n            return 0"),
    "a constant that it does not use": ("nodes.py", "UNUSED = 1", "UNUSED = 2"),
    "an import that it does not use": ("nodes.py", "import os", "import json"),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNT)
def test_counts_as_changed(package: Package, name: str) -> None:
    before = package.of(BASE)
    after = package.of(changed(*COUNT[name]))
    assert not before.untold and not after.untold
    assert before.parts != after.parts


@pytest.mark.parametrize("name", MAKE_NO_DIFFERENCE)
def test_makes_no_difference(package: Package, name: str) -> None:
    before = package.of(BASE)
    after = package.of(changed(*MAKE_NO_DIFFERENCE[name]))
    assert not before.untold and before == after


def test_a_lambda_is_the_same_whatever_other_lambdas_a_run_has(package: Package) -> None:
    package.write({"nodes.py": "one = lambda x: x + 1\ntwo = lambda x: x + 2\n"})
    module = package.load()
    alone = Fingerprints(PACKAGE).of({"two": module.two})["two"]
    assert Fingerprints(PACKAGE).of({"one": module.one, "two": module.two})["two"] == alone


def test_names_the_part_that_has_changed(package: Package) -> None:
    before, after = package.of(BASE), package.of(changed("deeper.py", "x ** FACTOR", "x * FACTOR"))
    differ = {name for name in before.parts if before.parts[name] != after.parts.get(name)}
    assert differ == {f"{PACKAGE}.deeper.square"}


EVERY_OTHER = {
    "a lambda": ("x = [lambda a: a + 1]", "x[0]", "a + 1", "a + 2"),
    "one of two lambdas in a line": ("x = [lambda a: a + 1, lambda a: a * 7]", "x[0]", "a + 1", "a + 2"),
    "which of two lambdas in a line": ("x = [lambda a: a + 1, lambda a: a * 7]\ny = x[0]", "y", "y = x[0]", "y = x[1]"),
    "a variable in a query": ("LIMIT = 1\ndef f(d): return d.query('a > @LIMIT')", "f", "LIMIT = 1", "LIMIT = 2"),
    "a function in partial": ("def f(a, b): return a + 1", "functools.partial(f, 1)", "a + 1", "a + 2"),
    "an argument in partial": ("def f(a, b): return a\nX = 1", "functools.partial(f, b=X)", "X = 1", "X = 2"),
    "a bound method": ("class A:\n    def m(self): return 1\na = A()", "a.m", "return 1", "return 2"),
    "a bound method's instance": ("class A:\n    def m(self): return 1\na = A()\na.x = 1", "a.m", "a.x = 1", "a.x = 2"),
    "a class method": ("class A:\n    @classmethod\n    def m(cls): return 1", "A.m", "return 1", "return 2"),
    "a static method": ("class A:\n    @staticmethod\n    def m(): return 1", "A.m", "return 1", "return 2"),
    "an instance that is called": ("class A:\n    def __call__(self): return 1", "A()", "return 1", "return 2"),
    "a class that is the node": ("class A:\n    def __init__(self): self.x = 1", "A", "self.x = 1", "self.x = 2"),
    "a dataclass's field": ("import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1\ndef f(): return A()", "f", "int = 1", "int = 2"),
    "an enum's member": ("import enum\nclass E(enum.Enum):\n    A = 1\ndef f(): return E.A", "f", "A = 1", "A = 2"),
    "a named tuple's field": ("import collections\nT = collections.namedtuple('T', 'a b')\ndef f(): return T(1, 2)", "f", "'a b'", "'b a'"),
    "a cached function": ("@functools.lru_cache\ndef f(): return 1", "f", "return 1", "return 2"),
    "a generator": ("def f():\n    yield 1", "f", "yield 1", "yield 2"),
    "an async function": ("async def f(): return 1", "f", "return 1", "return 2"),
    "a regular expression": ("import re\nR = re.compile('a')\ndef f(x): return R.match(x)", "f", "compile('a')", "compile('b')"),
    "an array": ("import numpy as np\nA = np.array([1, 2])\ndef f(): return A", "f", "[1, 2]", "[1, 3]"),
    "a frame": ("import pandas as pd\nA = pd.DataFrame({'a': [1, 2]})\ndef f(): return A", "f", "[1, 2]", "[1, 3]"),
    "a set": ("S = {'a', 'b', 'c'}\ndef f(): return S", "f", "'c'", "'d'"),
    "a function in a list": ("def g(): return 1\nL = [g]\ndef f(): return L[0]()", "f", "return 1", "return 2"),
    "a function that is passed": ("def g(): return 1\ndef f(): return list(map(g, []))", "f", "return 1", "return 2"),
    "a recursive function": ("def f(n): return f(n - 1)", "f", "n - 1", "n - 2"),
    "two that call each other": ("def g(n): return f(n)\ndef f(n): return g(n - 1)", "g", "n - 1", "n - 2"),
    "a constant attribute's name": ("def f(x): return getattr(x, 'a')", "f", "'a'", "'b'"),
    "an f-string": ("def f(x): return f'{x} 1'", "f", "} 1", "} 2"),
    "an annotation's class": ("class P:\n    x = 1\ndef f(p: P): return p", "f", "x = 1", "x = 2"),
    "a metaclass": ("class M(type):\n    def g(cls): return 1\nclass A(metaclass=M): pass\ndef f(): return A.g()", "f", "return 1", "return 2"),
    "a class in a function": ("def f():\n    class A:\n        x = 1\n    return A.x", "f", "x = 1", "x = 2"),
    "a conditional definition": ("if True:\n    def f(): return 1\nelse:\n    f = None", "f", "return 1", "return 2"),
    "a keyword default": ("def f(*, a=1): return a", "f", "a=1", "a=2"),
    "a default that is computed": ("def g(): return 1\ndef f(a=g()): return a", "f", "return 1", "return 2"),
    "who is which": ("def g(): return 1\ndef h(): return 2\na, b = g, h\ndef f(): return a() - b()", "f", "a, b = g, h", "b, a = g, h"),
    "a name that is bound again": ("def g(): return 1\ndef h(k): return lambda: k() + 1\ng = h(g)\ndef f(): return g()", "f", "k() + 1", "k() + 2"),
    "an attribute that a module sets elsewhere": ("import types\nclass A: pass\nA.rate = 1\ndef f(): return A.rate", "f", "rate = 1", "rate = 2"),
    "a class of another package that is patched": ("import argparse\nargparse.Namespace.total = lambda self: 1\ndef f(x): return x.total()", "f", "self: 1", "self: 2"),
    "an option of another package": ("import pandas as pd\npd.options.display.precision = 3\ndef f(x): return str(x)", "f", "= 3", "= 4"),
    "what is called on import": ("import os\ndef seed(): os.environ['X_SEED'] = '1'\nif True:\n    seed()\ndef f(): return 1", "f", "= '1'", "= '2'"),
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY_OTHER)
def test_counts_as_changed_in_every_form(package: Package, name: str) -> None:
    code, what, old, new = EVERY_OTHER[name]
    code = f"import functools\n{code}\n"
    before = package.of({"nodes.py": code}, what)
    again = package.of({"nodes.py": f"# A comment.\n{code}"}, what)
    after = package.of({"nodes.py": code.replace(old, new)}, what)
    assert before == again and not before.untold and not after.untold
    assert before.parts != after.parts


UNTOLD = {
    "getattr with a computed name": ("def f(x, n): return getattr(x, n)", "getattr"),
    "getattr under another name": ("g = getattr\ndef f(x, n): return g(x, n)", "`g`"),
    "eval": ("def f(x): return eval(x)", "eval"),
    "exec in a helper": ("def g(x): exec(x)\ndef f(x): return g(x)", "exec"),
    "a dynamic import": ("import importlib\ndef f(x): return importlib.import_module(x)", "importlib"),
    "a dynamic import of a name": ("from importlib import import_module\ndef f(x): return import_module(x)", "import_module"),
    "__import__": ("def f(x): return __import__(x)", "__import__"),
    "globals()": ("def f(x): return globals()[x]", "globals"),
    "a module as a value": ("from . import nodes\ndef f(x): return g(nodes)\ndef g(m): return m", "nodes"),
    "a global that a function assigns": ("N = 0\ndef f():\n    global N\n    N += 1\n    return N", "N"),
    "a global that another function binds": ("N = 0\ndef g():\n    global N\n    N = 1\ndef f(): return N", "N"),
    "a dictionary that fills up": ("D = {}\ndef g(k): D[k] = 1\ndef f(): return D", "D"),
    "a list that grows": ("L = []\ndef g(k): L.append(k)\ndef f(): return L", "L"),
    "an attribute that is set": ("class A: pass\na = A()\ndef g(): a.x = 1\ndef f(): return a.x", "a"),
    "an attribute of a class that is set": ("class A:\n    x = 1\ndef g(): A.x = 2\ndef f(): return A.x", "A"),
    "a counter on a function": ("def f():\n    f.n = 1\n    return f.n", "f"),
    "a variable of a module that is set": ("from . import helpers\ndef g(): helpers.X = 1\ndef f(): return helpers.distance()", "helpers"),
    "a lock": ("import threading\nL = threading.Lock()\ndef f():\n    with L: return 1", "lock"),
    "an open file": ("import os\nF = open(os.devnull)\ndef f(): return F.read()", "TextIOWrapper"),
    "a docstring that is read": ("def g(): 'doc'\ndef f(): return g.__doc__", "__doc__"),
    "a name that is not there": ("def f(): return nothing", "nothing"),
    "an attribute that is not there": ("from . import helpers\ndef f(): return helpers.nothing", "nothing"),
    "a computed attribute": ("import operator\ndef f(x, n): return operator.attrgetter(n)(x)", "attrgetter"),
    "an import that fails": ("def f():\n    from .missing import x\n    return x", "missing"),
    "a function made of text": ("exec('def f(): return 1')", "source"),
    "subclasses": ("class A: pass\ndef f(): return A.__subclasses__()", "__subclasses__"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNTOLD)
def test_says_what_cannot_be_told(package: Package, name: str) -> None:
    code, word = UNTOLD[name]
    files = {"helpers.py": "def distance(): return 1", "nodes.py": code}
    found = package.of(files, "f").untold
    assert found and word.lower() in " ".join(found).lower(), found


def test_a_variable_that_a_function_of_another_module_changes_is_not_told(package: Package) -> None:
    state, other = (
        "CACHE = {}\ndef get(): return CACHE",
        "from .state import CACHE\ndef put(): CACHE['a'] = 1",
    )
    package.write(
        {"state.py": state, "other.py": other, "nodes.py": "from .state import get\nfrom .other import put"}
    )
    nodes = package.load()
    alone = Fingerprints(PACKAGE).of({"reads": nodes.get})
    together = Fingerprints(PACKAGE).of({"reads": nodes.get, "changes": nodes.put})
    assert not alone["reads"].untold
    assert "CACHE" in " ".join(together["reads"].untold)


def test_source_that_was_edited_since_it_was_imported_is_not_told(package: Package) -> None:
    package.write({"nodes.py": "def node(): return 1\n"})
    node = package.load().node
    package.write({"nodes.py": "def node(): return 2\n"})
    found = Fingerprints(PACKAGE).of({"n": node})["n"]
    assert "not as it was when it was imported" in found.untold[0]


def test_a_default_from_the_environment_counts(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"nodes.py": "import os\ndef node(a=os.environ.get('SHOP_OF_TESTS')): return a\n"}
    before = package.of(files)
    monkeypatch.setenv("SHOP_OF_TESTS", "1")
    assert package.of(files).parts != before.parts


READS = {
    "os.getenv": "import os\ndef f(): return os.getenv('LIMIT_OF_TESTS')",
    "os.environ": "import os\ndef f(): return os.environ['LIMIT_OF_TESTS']",
    "os.environ.get": "import os\ndef f(): return os.environ.get('LIMIT_OF_TESTS', '1')",
    "getenv": "from os import getenv\ndef f(): return getenv('LIMIT_OF_TESTS')",
    "environ": "from os import environ\ndef f(): return environ['LIMIT_OF_TESTS']",
}


@pytest.mark.parametrize("name", READS)
def test_a_variable_of_the_environment_counts_and_no_other(
    package: Package, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    files = {"nodes.py": READS[name]}
    before = package.of(files, "f")
    monkeypatch.setenv("ANOTHER_OF_TESTS", "1")
    assert package.of(files, "f") == before and not before.untold
    monkeypatch.setenv("LIMIT_OF_TESTS", "2")
    assert package.of(files, "f").parts != before.parts


@pytest.mark.parametrize("name", ["os.environ[x]", "os.getenv(x)", "dict(os.environ)", "os.environ.get(x)"])
def test_all_of_the_environment_counts_where_a_name_is_computed(
    package: Package, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    files = {"nodes.py": f"import os\ndef f(x): return {name}"}
    before = package.of(files, "f")
    monkeypatch.setenv("ANOTHER_OF_TESTS", "1")
    assert package.of(files, "f").parts != before.parts


PATCHES = "import argparse\nargparse.Namespace.total = lambda self: 1"


@pytest.mark.parametrize(
    "files",
    [
        {"nodes.py": "from . import patches\ndef f(x): return x.total()"},
        {"nodes.py": "import shop_of_tests.patches\ndef f(x): return x.total()"},
        {
            "nodes.py": "try:\n    from .patches import *\nexcept ImportError:\n    pass\ndef f(x): return x.total()"
        },
        {
            "nodes.py": "from .more import g\ndef f(x): return g(x)",
            "more.py": "from . import patches\ndef g(x): return x.total()",
        },
        {"__init__.py": "from . import patches", "nodes.py": "def f(x): return x.total()"},
        {
            "settings.py": "from . import patches",
            "nodes.py": "from . import settings as _\ndef f(x): return x.total()",
        },
    ],
    ids=[
        "imported",
        "by its whole name",
        "in a try",
        "two imports away",
        "by the package",
        "by the settings",
    ],
)
def test_what_an_imported_module_patches_counts(package: Package, files: dict[str, str]) -> None:
    before = package.of({**files, "patches.py": PATCHES}, "f")
    again = package.of({**files, "patches.py": f"import argparse\n\n\n# A comment.\n{PATCHES}"}, "f")
    after = package.of({**files, "patches.py": PATCHES.replace("self: 1", "self: 2")}, "f")
    assert before == again and not before.untold
    assert before.parts != after.parts


def test_what_the_settings_do_counts_for_every_node(package: Package) -> None:
    def parts(display: int) -> dict[str, str]:
        package.write(
            {
                "nodes.py": "def f(x): return str(x)",
                "settings.py": f"import pandas as pd\npd.options.display.precision = {display}",
            }
        )
        node = package.load().f
        importlib.import_module(f"{PACKAGE}.settings")
        return Fingerprints(PACKAGE, [f"{PACKAGE}.settings"]).of({"n": node})["n"].parts

    assert parts(3) == parts(3) != parts(4)


def test_a_closure_in_another_package_is_looked_into(package: Package) -> None:
    code = "from {0} import wrap\nimport functools\n@wrap\ndef node(): return 1\n"
    # Of a directory that is no project's.
    assert (
        package.of({"nodes.py": code.format("contextlib").replace("wrap", "contextmanager")}).parts
        != (
            package.of(
                {"nodes.py": code.format("contextlib").replace("wrap", "contextmanager").replace("1", "2")}
            )
        ).parts
    )


def test_code_of_other_packages_is_named_and_not_followed(package: Package) -> None:
    found = package.of({"nodes.py": "import pandas as pd\ndef node(): return pd.DataFrame()\n"})
    assert set(found.parts) <= {"", f"{PACKAGE}.nodes.node", f"{PACKAGE}.nodes (statements)"}
    assert "pandas" in found.packages


def test_a_method_that_another_module_gives_to_a_class_counts(package: Package) -> None:
    nodes = "from . import patch\nfrom .models import Model\ndef node(): return Model().rate()\n"
    files = {"models.py": "class Model:\n    pass\n", "nodes.py": nodes}
    patch = "from .models import Model\ndef rate(self): return 1\nModel.rate = rate\n"
    before = package.of({**files, "patch.py": patch})
    after = package.of({**files, "patch.py": patch.replace("return 1", "return 2")})
    assert not before.untold and before.parts != after.parts


def test_the_fingerprint_is_the_same_in_another_process(package: Package) -> None:
    import subprocess

    package.write(BASE)
    code = (
        f"import sys; sys.path.insert(0, {str(package.directory.parent)!r})\n"
        f"from {PACKAGE}.nodes import node\n"
        "from kedro_doltdb.incremental.fingerprint import Fingerprints\n"
        f"print(Fingerprints({PACKAGE!r}).of(dict(n=node))['n'].parts)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1 and PACKAGE in outputs.pop()


def test_a_function_of_another_package_alone_is_its_name() -> None:
    found = Fingerprints(None).of({"n": functools.reduce, "m": len})
    assert not found["n"].untold and found["n"].parts != found["m"].parts


def test_a_module_is_searched_as_often_for_many_functions_as_for_few(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[object] = []
    walk, parse = ast.walk, ast.parse
    monkeypatch.setattr(ast, "walk", lambda tree: searched.append(tree) or walk(tree))
    monkeypatch.setattr(ast, "parse", lambda *args: searched.append("parse") or parse(*args))
    times = []
    for number in (2, 40):
        package.write({"nodes.py": "".join(f"def f{n}(x):\n    return x + {n}\n\n\n" for n in range(number))})
        module = package.load()
        searched.clear()
        Fingerprints(PACKAGE).of({f"n{n}": getattr(module, f"f{n}") for n in range(number)})
        times.append(sum(one == "parse" or isinstance(one, ast.Module) for one in searched))
    assert times[0] == times[1] > 0
