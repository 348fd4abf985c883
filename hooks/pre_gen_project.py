"""Refuse, before a file is written, what could not become a working project."""

import keyword
import os
import sys
from pathlib import Path

PYTHON_PACKAGE = {{ cookiecutter.python_package | tojson }}
REPO_DIR = {{ cookiecutter._repo_dir | tojson }}
OUTPUT_DIR = {{ cookiecutter._output_dir | tojson }}

# The project imports these; a package of such a name would hide them.
TAKEN = {"kedro", "kedro_datasets", "kedro_doltdb", "pandas", "pytest"}


def find_template() -> Path:
    """Return the template's directory; Cookiecutter may know it relative to where the user started it."""
    for start in (OUTPUT_DIR, os.environ.get("PWD", "")):
        template = Path(start, REPO_DIR)
        if (template / "cookiecutter.json").is_file():
            return template.resolve()
    raise FileNotFoundError(f"The starter {REPO_DIR} was not found from here; name it by its absolute path.")


def check_package_name(name: str) -> None:
    """Raise ValueError when a package of this name could not be imported."""
    if not name.isidentifier() or keyword.iskeyword(name):
        reason = "is no valid name of a Python package"
    elif name in sys.stdlib_module_names or name in TAKEN:
        reason = "is the name of a module that the project needs itself"
    else:
        return
    raise ValueError(f"'{name}' {reason}; choose another project name, which begins with a letter.")


def main() -> int:
    """Check the name and Dolt; return the exit code."""
    try:
        check_package_name(PYTHON_PACKAGE)
        template = find_template()
        # The library is in the repository, or around the template where pip has installed it.
        sys.path += [str(template / "src" / "kedro_doltdb"), str(template.parent)]
        import dolt_cli

        dolt_cli.check_version(dolt_cli.find_dolt())
    except (OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
