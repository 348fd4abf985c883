"""Make the new project's data/ a Dolt repository, and let its requirements name the library."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

TEMPLATE = {{ cookiecutter._template | tojson }}
REPO_DIR = {{ cookiecutter._repo_dir | tojson }}
OUTPUT_DIR = {{ cookiecutter._output_dir | tojson }}

NEXT = """
Next:
  cd {project}
  pip install -r requirements.txt
  kedro run                                              # one commit of data/
  kedro run --params example_test_data_ratio=0.1         # another one
  kedro dolt compare                                     # what differs
"""


def find_template() -> Path:
    """Return the template's directory; Cookiecutter may know it relative to where the user started it."""
    for start in (OUTPUT_DIR, os.environ.get("PWD", "")):
        template = Path(start, REPO_DIR)
        if (template / "cookiecutter.json").is_file():
            return template.resolve()
    raise FileNotFoundError(f"The starter {REPO_DIR} was not found from here; name it by its absolute path.")


def requirement(template: Path) -> str:
    """Return the requirement of the library that this template belongs to."""
    if not (template / "pyproject.toml").is_file():
        return f"kedro-doltdb=={metadata.version('kedro-doltdb')}"
    if TEMPLATE == REPO_DIR and not is_pushed(template):
        return (
            "# A directory of this machine: for colleagues, name a git URL or a version instead\n"
            f"kedro-doltdb @ {template.as_uri()}"
        )
    url, commit = git(template, "remote", "get-url", "origin"), git(template, "rev-parse", "HEAD")
    return f"kedro-doltdb @ git+{pip_url(url)}@{commit}"


def is_pushed(template: Path) -> bool:
    """Return whether a clone is as a remote has it, which others reach by a URL."""
    try:
        url = git(template, "remote", "get-url", "origin")
        others_reach_it = not url.startswith(("/", ".", "file:")) and ":" in url
        changed = git(template, "status", "--porcelain")
        return others_reach_it and not changed and bool(git(template, "branch", "-r", "--contains", "HEAD"))
    except (OSError, subprocess.SubprocessError):
        return False


def pip_url(url: str) -> str:
    """Return a Git URL as pip takes it, without the secrets that an HTTP URL may carry."""
    if "://" not in url:
        host, _, path = url.partition(":")
        url = f"ssh://{host}/{path}"
    return quote(re.sub(r"^(https?://)[^/@]*@", r"\1", url), safe=":/@%~+")


def git(directory: Path, *args: str) -> str:
    """Return what a Git command prints."""
    command = ["git", *args]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


def add_requirement(line: str) -> None:
    """Append a line to the project's requirements."""
    with open("requirements.txt", "a", encoding="utf-8") as file:
        file.write(line + "\n")


def remove_caches(project: Path) -> None:
    """Remove what pip or a linter has left in the template's directory, and so came along."""
    for name in ("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"):
        for cache in list(project.rglob(name)):
            shutil.rmtree(cache)


def main() -> int:
    """Finish the project; return the exit code."""
    try:
        template = find_template()
        # The library is in the repository, or around the template where pip has installed it.
        sys.path += [str(template / "src" / "kedro_doltdb"), str(template.parent)]
        from dolt_cli import InitialTable, initialise

        remove_caches(Path.cwd())
        add_requirement(requirement(template))
        iris = InitialTable(
            "example_iris_data", "data/01_raw/iris.csv", ("sample_id",), "Import the iris data set"
        )
        initialise(Path("data"), [iris])
        print(NEXT.format(project=Path.cwd().name))
    except (OSError, RuntimeError, subprocess.SubprocessError, metadata.PackageNotFoundError) as error:
        print(f"The project could not be finished and is removed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
