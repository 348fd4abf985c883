"""``examples/github``: the script with a real project and a real remote, the workflow as it is written."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import yaml
from conftest import ROOT, dolt, run_kedro
from helpers import messages
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.thorough

EXAMPLES = ROOT / "examples" / "github"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("data_review", EXAMPLES / "data_review.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def review(project: Path, command: str, head: str = "tune/ratio", code: int = 0, **env: str) -> str:
    """Run the script as the workflow does, in a project."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, EXAMPLES / "data_review.py", command],
        cwd=project, env={**os.environ, "PATH": path, "HEAD_REF": head, **env},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def clone(generated: Path, directory: Path, remote: Path) -> Path:
    """A new checkout of the project, as a job of the workflow has it, with the data of the remote."""
    shutil.copytree(generated, directory)
    shutil.rmtree(directory / "data" / ".dolt")
    with open(directory / "conf" / "base" / "dolt.yml", "a") as file:
        file.write(f"\nremote: {{url: 'file://{remote}', pull: before_run, push: after_run}}\n")
    run_kedro(directory, "dolt", "init")
    return directory


def test_a_pull_request_is_run_reviewed_and_merged(generated: Path, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    remote.mkdir()
    team = clone(generated, tmp_path / "team", remote)
    run_kedro(team, "run")

    job = clone(generated, tmp_path / "job", remote)
    parameters = job / "conf" / "base" / "parameters.yml"
    parameters.write_text(parameters.read_text().replace("test_data_ratio: 0.2", "test_data_ratio: 0.3"))
    review(job, "run")
    comment = (job / "review" / "comment.md").read_text("utf-8")
    assert "| example\\_test\\_data\\_ratio | 0.2 | 0.3 |" in comment
    assert (job / "review" / "report.html").stat().st_size > 10_000

    before = messages(team)
    merged = clone(generated, tmp_path / "merged", remote)
    assert "Adopted 1 commit of code/tune/ratio to main" in review(merged, "merge")
    dolt(team, "pull", "origin", "main")
    assert messages(team)[1:] == before and "example_test_data_ratio" in messages(team)[0]
    assert "code/tune/ratio" not in dolt(merged, "branch", "--all").replace("* ", "").split("remotes/")[-1]
    assert "nothing to merge" in review(merged, "merge", head="other")


def test_a_run_that_is_refused_is_shown_and_not_published(generated: Path, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    job = clone(generated, tmp_path / "job", tmp_path / "remote")
    run_kedro(job, "run")
    catalog = job / "conf" / "base" / "dolt.yml"
    catalog.write_text(catalog.read_text().replace("accuracy: {fall: 0.1}", "test_rows: {fall: 1, rise: 1}"))
    parameters = job / "conf" / "base" / "parameters.yml"
    parameters.write_text(parameters.read_text().replace("test_data_ratio: 0.2", "test_data_ratio: 0.4"))
    review(job, "run", code=1)
    comment = (job / "review" / "comment.md").read_text("utf-8")
    assert comment.startswith("**The run was not published:**")
    assert "failed" in comment and "max\\_change.test\\_rows" in comment
    assert "Run refused, not published" in (job / "review" / "report.html").read_text("utf-8")


@given(st.text(min_size=1))
def test_any_code_branch_has_a_data_branch_that_says_nothing_to_kedro_or_dolt(
    script: ModuleType, name: str
) -> None:
    branch = script.data_branch(name)
    assert re.fullmatch(r"code/[A-Za-z0-9_./-]+", branch)
    assert ".." not in branch and "//" not in branch and not re.search(r"\.lock(/|$)|[./]$|/[.-]", branch)


def test_data_branches_of_similar_code_branches_differ(script: ModuleType) -> None:
    assert script.data_branch("fix/a-b") == "code/fix/a-b"
    names = ["a b", "a-b", "a  b", "a:b", "main", "é", "è"]
    assert len({script.data_branch(name) for name in names}) == len(names)


class GitHub(BaseHTTPRequestHandler):
    """The three calls of GitHub's API for comments."""

    comments: list[dict[str, Any]]

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _content(self) -> str:
        return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == "Bearer secret"
        page = int(self.path.rpartition("page=")[2])
        self._answer(self.comments[100 * (page - 1) : 100 * page])

    def do_POST(self) -> None:
        assert self.path == "/repos/o/r/issues/7/comments"
        self.comments.append({"id": 500, "user": {"login": "github-actions[bot]"}, "body": self._content()})
        self._answer({})

    def do_PATCH(self) -> None:
        number = int(self.path.removeprefix("/repos/o/r/issues/comments/"))
        next(each for each in self.comments if each["id"] == number)["body"] = self._content()
        self._answer({})

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def github() -> Iterator[str]:
    GitHub.comments = [
        {"id": number, "user": {"login": "mallory"}, "body": "<!-- kedro-dolt data review -->"}
        for number in range(150)
    ]
    server = HTTPServer(("127.0.0.1", 0), GitHub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_one_comment_is_posted_and_then_replaced(
    script: ModuleType, github: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("review").mkdir()
    for text in ("first", "second\n" * 20_000):
        Path("review/comment.md").write_text(text)
        script.comment(github, "o/r", "7", "secret", "https://run")
    ours = [each["body"] for each in GitHub.comments if each["user"]["login"] != "mallory"]
    assert len(ours) == 1 and "second" in ours[0] and "The report has the rest" in ours[0]
    assert len(ours[0]) < 65_536 and all(each["body"] for each in GitHub.comments)


def test_the_workflow_has_no_more_rights_than_it_needs() -> None:
    text = (EXAMPLES / "data-review.yml").read_text("utf-8")
    workflow = yaml.safe_load(text)
    used = re.findall(r"uses: (.*)", text)
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in used)
    assert workflow["permissions"] == {} and "pull_request_target" not in text
    jobs = workflow["jobs"]
    writing = [name for name, job in jobs.items() if "write" in job["permissions"].values()]
    assert writing == ["comment"]
    # What may write runs nothing of the pull request; what runs that is given no token.
    assert "head.repo.full_name == github.repository" in jobs["comment"]["if"]
    assert all("secrets." not in str(step) for step in jobs["comment"]["steps"])
    assert jobs["comment"]["steps"][0]["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    steps = [step for job in jobs.values() for step in job["steps"]]
    checkouts = [step for step in steps if "checkout" in step.get("uses", "")]
    assert len(checkouts) == 3 and all(not step["with"]["persist-credentials"] for step in checkouts)
    assert not [step for step in steps if "${{" in step.get("run", "")]
