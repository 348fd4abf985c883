"""``kedro new``: every way to it, hard names, and what stops it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, dolt, run_kedro
from helpers import git

from kedro_doltdb import __version__
from kedro_doltdb.dolt_cli import find_dolt

FILES = [
    ".gitignore",
    "README.md",
    "conf/base/catalog.yml",
    "conf/base/dolt.yml",
    "conf/base/parameters.yml",
    "conf/local/.gitkeep",
    "conf/local/credentials.yml",
    "conf/logging.yml",
    "data/01_raw/iris.csv",
    "notebooks/compare_two_runs.ipynb",
    "pyproject.toml",
    "requirements.txt",
    "src/iris_dolt/__init__.py",
    "src/iris_dolt/__main__.py",
    "src/iris_dolt/hooks.py",
    "src/iris_dolt/pipeline_registry.py",
    "src/iris_dolt/pipelines/__init__.py",
    "src/iris_dolt/pipelines/iris/__init__.py",
    "src/iris_dolt/pipelines/iris/nodes.py",
    "src/iris_dolt/pipelines/iris/pipeline.py",
    "src/iris_dolt/settings.py",
    "tests/conftest.py",
    "tests/test_nodes.py",
    "tests/test_run.py",
]


def files_of(project: Path) -> dict[str, bytes]:
    """The files of a project by their paths, Dolt's own left out."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and ".dolt" not in path.parts
    }


def assert_same_project(project: Path, generated: Path, requirement: str) -> None:
    """The project is as the one from the checkout, but requires the library as ``requirement`` says."""
    files, expected = files_of(project), files_of(generated)
    lines, others = (some.pop("requirements.txt").decode().splitlines() for some in (files, expected))
    here = requirement.startswith("kedro-doltdb @ file:")
    note = [line for line in lines if line.startswith("# A directory of this machine")]
    assert len(note) == here
    assert lines == [*(line for line in others[:-1] if "of this machine" not in line), *note, requirement]
    assert files == expected
    assert dolt(project, "sql", "-r", "csv", "-q", "SELECT dolt_hashof_table('example_iris_data')") == dolt(
        generated, "sql", "-r", "csv", "-q", "SELECT dolt_hashof_table('example_iris_data')"
    )


def modules(package: Path) -> set[str]:
    """The paths of all modules in a package; the template in a wheel is none of them."""
    paths = (path.relative_to(package) for path in package.rglob("*.py"))
    return {path.as_posix() for path in paths if path.parts[0] != "template"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git tracks of this repository, as it lies in the working tree, in a git repository of its own."""
    copy = tmp_path_factory.mktemp("clone") / "kedro-dölt clone"
    for name in git(ROOT, "ls-files", "-z").split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    git(copy, "init", "-q")
    git(copy, "add", "-A", "-f")
    git(copy, "commit", "-q", "-m", "All")
    return copy


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(clone)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the wheel installed, and sees the dependencies of this one."""
    env = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    python = env / "bin" / "python"
    purelib = next((env / "lib").glob("python*/site-packages"))
    # Searched last, and the .pth files that lie there, such as the editable install's, do not count.
    (purelib / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--ignore-installed", str(wheel)], check=True)
    return python


def kedro_new(
    directory: Path, *args: str, python: str | Path = sys.executable, **kwargs: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-m", "kedro", "new", *args],
        cwd=directory,
        env={**os.environ, "PWD": str(directory)},
        capture_output=True,
        text=True,
        check=False,
        input=kwargs.get("answers", ""),
    )


class TestProject:
    def test_exact_list_of_files(self, generated: Path) -> None:
        assert sorted(files_of(generated)) == FILES

    def test_nothing_of_the_template_is_left(self, generated: Path) -> None:
        for name, content in files_of(generated).items():
            for token in ("{{", "}}", "{%", "cookiecutter"):
                assert token not in content.decode(), f"{token} in {name}"

    def test_data_is_a_repository_with_the_iris_data(self, generated: Path) -> None:
        log = json.loads(dolt(generated, "sql", "-r", "json", "-q", "SELECT message FROM dolt_log"))["rows"]
        assert [row["message"] for row in log] == ["Import the iris data set", "Initialize data repository"]
        assert "nothing to commit" in dolt(generated, "status")
        count = dolt(generated, "sql", "-r", "csv", "-q", "SELECT COUNT(*) FROM example_iris_data")
        assert count.split() == ["COUNT(*)", "150"]
        assert "PRIMARY KEY (`sample_id`)" in dolt(generated, "schema", "show", "example_iris_data")

    def test_nobodys_configuration_is_touched(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        home = tmp_path / "home"
        (home / ".dolt").mkdir(parents=True)
        config = home / ".dolt" / "config_global.json"
        config.write_text('{"user.name": "Ann", "user.email": "ann@example.org"}')
        monkeypatch.setenv("HOME", str(home))

        run_kedro(tmp_path, "new", f"--starter={ROOT}", "--name=Iris Dolt")

        assert dolt(tmp_path / "iris-dolt", "log").count("Ann <ann@example.org>") == 2
        assert config.read_text() == '{"user.name": "Ann", "user.email": "ann@example.org"}'
        assert not (home / ".gitconfig").exists()

    def test_git_keeps_the_code_and_not_the_data(self, generated: Path, tmp_path: Path) -> None:
        project = shutil.copytree(generated, tmp_path / "project")
        (project / "data" / ".doltcfg").mkdir()
        (project / "data" / ".doltcfg" / "privileges.db").touch()
        git(project, "init", "-q")
        git(project, "add", "-A")

        tracked = git(project, "ls-files").split()
        assert tracked == [name for name in FILES if name != "conf/local/credentials.yml"]

    def test_ruff_finds_nothing(self, generated: Path) -> None:
        ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
        done = subprocess.run(ruff, cwd=generated, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def requirement_of(project: Path) -> str:
    return (project / "requirements.txt").read_text().splitlines()[-1]


class TestWays:
    def test_relative_checkout(self, generated: Path, clone: Path) -> None:
        run_kedro(clone.parent, "new", f"--starter={clone.name}", "--name=Iris Dolt")

        project = clone.parent / "iris-dolt"
        assert_same_project(project, generated, f"kedro-doltdb @ {clone.as_uri()}")
        shutil.rmtree(project)

    def test_caches_of_tools_in_the_template(self, generated: Path, clone: Path, tmp_path: Path) -> None:
        template = tmp_path / "with caches"
        shutil.copytree(clone, template)
        inner = template / "{{ cookiecutter.repo_name }}"
        for place in (inner, next((inner / "src").iterdir())):
            for name in (".ruff_cache", ".mypy_cache", ".pytest_cache", "__pycache__"):
                (place / name / "1.0").mkdir(parents=True)
                # To Cookiecutter this is text.
                (place / name / "1.0" / "cached").write_bytes(b"text" * 99 + b"{{ x }} \x89")
        run_kedro(tmp_path, "new", f"--starter={template}", "--name=Iris Dolt")
        assert_same_project(tmp_path / "iris-dolt", generated, f"kedro-doltdb @ {template.as_uri()}")

    def test_git_url(self, generated: Path, clone: Path, tmp_path: Path) -> None:
        run_kedro(tmp_path, "new", f"--starter=git+{clone.as_uri()}", "--name=Iris Dolt")

        commit = git(clone, "rev-parse", "HEAD")
        requirement = f"kedro-doltdb @ git+{clone.as_uri()}@{commit}"
        assert_same_project(tmp_path / "iris-dolt", generated, requirement)

    def test_a_clone_that_others_can_reach_is_required_by_its_url(self, clone: Path, tmp_path: Path) -> None:
        pushed = tmp_path / "pushed"
        shutil.copytree(clone, pushed)
        git(pushed, "remote", "add", "origin", "git@example.org:a/b.git")
        git(pushed, "update-ref", "refs/remotes/origin/main", "HEAD")
        commit = git(pushed, "rev-parse", "HEAD")
        run_kedro(tmp_path, "new", f"--starter={pushed}", "--name=One")
        assert (
            requirement_of(tmp_path / "one") == f"kedro-doltdb @ git+ssh://git@example.org/a/b.git@{commit}"
        )
        # With a change of its own it is another library.
        (pushed / "README.md").write_text("changed")
        run_kedro(tmp_path, "new", f"--starter={pushed}", "--name=Two")
        assert requirement_of(tmp_path / "two") == f"kedro-doltdb @ {pushed.as_uri()}"

    @pytest.mark.thorough
    @pytest.mark.parametrize("scheme", ["", "git+"])
    def test_requirement_can_be_installed(self, scheme: str, clone: Path, tmp_path: Path) -> None:
        run_kedro(tmp_path, "new", f"--starter={scheme + clone.as_uri() if scheme else clone}", "--name=One")

        requirement = requirement_of(tmp_path / "one")
        # Before 24.1 pip takes git+file:///… alone, and not behind the package's name.
        url = requirement.removeprefix("kedro-doltdb @ ")
        pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "."]
        subprocess.run([*pip, url], cwd=tmp_path, check=True)
        assert len(list(tmp_path.glob("kedro_doltdb-*.whl"))) == 1

    @pytest.mark.parametrize(
        ("origin", "url"),
        [
            ("https://example.org/a/b.git", "https://example.org/a/b.git"),
            ("https://user:secret@example.org/a/b.git", "https://example.org/a/b.git"),
            ("ssh://git@example.org:22/a/b.git", "ssh://git@example.org:22/a/b.git"),
            ("git@example.org:a/b.git", "ssh://git@example.org/a/b.git"),
            ("file:///a dir/b", "file:///a%20dir/b"),
        ],
    )
    def test_git_url_as_pip_takes_it(self, origin: str, url: str) -> None:
        source = (ROOT / "hooks" / "post_gen_project.py").read_text()
        hook: dict[str, Any] = {"__name__": "post_gen_project"}
        exec(re.sub(r"\{\{.*\}\}", "''", source), hook)

        assert hook["pip_url"](origin) == url

    def test_alias_of_an_editable_install(self, generated: Path, tmp_path: Path) -> None:
        run_kedro(tmp_path, "new", "--starter=kedro-dolt", "--name=Iris Dolt")

        assert_same_project(tmp_path / "iris-dolt", generated, requirement_of(generated))

    @pytest.mark.thorough
    def test_alias_of_an_installed_wheel(self, generated: Path, wheel_python: Path, tmp_path: Path) -> None:
        done = kedro_new(tmp_path, "--starter=kedro-dolt", "--name=Iris Dolt", python=wheel_python)

        assert done.returncode == 0, done.stderr
        assert_same_project(tmp_path / "iris-dolt", generated, f"kedro-doltdb=={__version__}")

    @pytest.mark.thorough
    def test_installed_wheel_has_every_module_and_runs_the_project(
        self, project: Path, wheel_python: Path
    ) -> None:
        installed = next(wheel_python.parents[1].glob("lib/python*/site-packages/kedro_doltdb"))
        package = ROOT / "src" / "kedro_doltdb"
        assert modules(installed) == modules(package)
        assert not (installed / "hooks.py").is_symlink()

        subprocess.run(
            [str(wheel_python), "-m", "kedro", "run"], cwd=project, check=True, capture_output=True
        )

        assert "Update data from Kedro run" in dolt(project, "log")

    @pytest.mark.thorough
    def test_plain_cookiecutter_from_the_installed_wheel(
        self, generated: Path, wheel_python: Path, tmp_path: Path
    ) -> None:
        template = next(wheel_python.parents[1].glob("lib/python*/site-packages/kedro_doltdb/template"))
        assert list(template.rglob("nodes.*.pyc")), (
            "pip has compiled the template, which is what is at stake here"
        )

        command = [str(wheel_python), "-m", "cookiecutter", "--no-input", str(template)]
        subprocess.run(command, cwd=tmp_path, check=True)

        assert sorted(files_of(tmp_path / "iris-dolt")) == sorted(files_of(generated))

    @pytest.mark.parametrize(
        ("answer", "repo_name", "package"),
        [("", "iris-dolt", "iris_dolt"), ("My Irises 2", "my-irises-2", "my_irises_2")],
        ids=["default", "own name"],
    )
    def test_interactively(self, answer: str, repo_name: str, package: str, tmp_path: Path) -> None:
        done = kedro_new(tmp_path, f"--starter={ROOT}", answers=f"{answer}\n")

        assert done.returncode == 0, done.stderr
        assert done.stdout.count("[Iris Dolt]") == 1, "one question, with a default"
        assert (tmp_path / repo_name / "src" / package / "hooks.py").is_file()

    def test_config_file(self, generated: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        config = tmp_path / "new.yml"
        config.write_text(f"project_name: Iris Dolt\noutput_dir: {json.dumps(str(tmp_path / 'out'))}\n")

        run_kedro(tmp_path, "new", f"--starter={ROOT}", f"--config={config}")

        project = tmp_path / "out" / "iris-dolt"
        assert_same_project(project, generated, requirement_of(generated))

    def test_config_file_and_relative_checkout(self, clone: Path, tmp_path: Path) -> None:
        config = tmp_path / "new.yml"
        config.write_text(f"project_name: Iris Dolt\noutput_dir: {json.dumps(str(tmp_path))}\n")

        run_kedro(clone, "new", "--starter=.", f"--config={config}")

        requirement = requirement_of(tmp_path / "iris-dolt")
        assert requirement == f"kedro-doltdb @ {clone.as_uri()}"


class TestNames:
    @pytest.mark.parametrize(
        ("name", "repo_name", "package"),
        [
            ("Iris 2 - the_Sequel", "iris-2---the-sequel", "iris_2___the_sequel"),
            pytest.param("Größe 3", "größe-3", "größe_3", marks=pytest.mark.thorough),
        ],
    )
    def test_hard_name_makes_a_working_project(
        self, name: str, repo_name: str, package: str, tmp_path: Path
    ) -> None:
        run_kedro(tmp_path, "new", f"--starter={ROOT}", f"--name={name}")

        project = tmp_path / repo_name
        assert (project / "src" / package).is_dir()
        assert "__default__" in run_kedro(project, "registry", "list").stdout
        tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_nodes.py"]
        subprocess.run(tests, cwd=project, check=True)

    @pytest.mark.parametrize("name", ["3 Irises", "pandas", "Kedro", "kedro-doltdb"])
    def test_unusable_package_name_is_refused(self, name: str, tmp_path: Path) -> None:
        done = run_kedro(tmp_path, "new", f"--starter={ROOT}", f"--name={name}", check=False)

        assert done.returncode != 0
        assert done.stderr.count("choose another project name") == 1
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("package", ["email", "class", "a-b", "../up", "'); import os #"])
    def test_unusable_package_in_a_config_file_is_refused(self, package: str, tmp_path: Path) -> None:
        config = tmp_path / "new.yml"
        config.write_text(f"project_name: Iris Dolt\npython_package: {json.dumps(package)}\n")

        done = run_kedro(tmp_path, "new", f"--starter={ROOT}", f"--config={config}", check=False)

        assert done.returncode != 0
        assert package in done.stderr
        assert list(tmp_path.iterdir()) == [config]


class TestRefusals:
    """One clear line, and nothing left behind."""

    def refused(self, directory: Path, message: str, **env: str) -> None:
        target = directory / "tärget dir"
        target.mkdir()
        done = run_kedro(target, "new", f"--starter={ROOT}", "--name=Iris Dolt", check=False, **env)
        assert done.returncode != 0
        assert [message in line for line in done.stderr.splitlines()].count(True) == 1, done.stderr
        assert list(target.iterdir()) == []

    def script(self, directory: Path, text: str) -> str:
        path = directory / "bin" / "dolt"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def test_dolt_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DOLT_PATH", raising=False)
        message = "No executable `dolt` was found in the Python environment or on PATH. Get it with `kedro"
        self.refused(tmp_path, message, PATH="/nowhere")

    def test_dolt_is_too_old(self, tmp_path: Path) -> None:
        old = self.script(tmp_path, "echo dolt version 1.20.0")
        self.refused(tmp_path, "is Dolt 1.20.0, and 1.83.0 or newer is needed. Get it with", DOLT_PATH=old)

    def test_dolt_is_not_executable(self, tmp_path: Path) -> None:
        (tmp_path / "dolt").touch()
        self.refused(tmp_path, "is not an executable file. Get it", DOLT_PATH=str(tmp_path / "dolt"))

    def test_dolt_fails_half_way(self, tmp_path: Path) -> None:
        real = find_dolt()
        broken = f'[ "$1" = commit ] && {{ echo "disk full" >&2; exit 3; }}\nexec "{real}" "$@"'
        message = "could not be finished and is removed: `dolt commit --message` failed"
        self.refused(tmp_path, message, DOLT_PATH=self.script(tmp_path, broken))

    def test_existing_directory_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "iris-dolt").mkdir()
        (tmp_path / "iris-dolt" / "mine.txt").write_text("mine")

        done = run_kedro(tmp_path, "new", f"--starter={ROOT}", "--name=Iris Dolt", check=False)

        assert done.returncode != 0
        assert [path.name for path in (tmp_path / "iris-dolt").iterdir()] == ["mine.txt"]


class TestInit:
    def test_fresh_clone_gets_the_same_repository(self, generated: Path, project: Path) -> None:
        shutil.rmtree(project / "data" / ".dolt")

        run_kedro(project, "dolt", "init", PYTHONDONTWRITEBYTECODE="1")

        assert_same_project(project, generated, requirement_of(generated))
        assert "Import the iris data set" in dolt(project, "log")

    def test_existing_repository_is_refused(self, project: Path) -> None:
        done = run_kedro(project, "dolt", "init", check=False)

        assert done.returncode != 0
        assert "is a Dolt repository already" in done.stderr + done.stdout


def test_projects_own_tests_pass(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
