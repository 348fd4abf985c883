"""Eight processes at once, on eight branches, on one branch, and on one branch with tables of their own."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys

from .project import Project
from .report import Report

AT_ONCE = 8

# The content after a run is determined by the content before it and by the run's token, so that the order in
# which runs were published can be computed again.
CODE = """
import time

import pandas as pd
from kedro.pipeline import Pipeline, node


def append(before: pd.DataFrame, token: int, pause: float) -> pd.DataFrame:
    time.sleep(pause)
    last = before.iloc[-1]
    row = {"n": last.n + 1, "token": token, "digest": (last.digest * 31 + token) % 1_000_003}
    return pd.concat([before, pd.DataFrame([row])], ignore_index=True)


def own(token: int, pause: float) -> pd.DataFrame:
    time.sleep(pause)
    return pd.DataFrame({"n": range(100), "token": token})


def create_pipeline(**kwargs: object) -> Pipeline:
    return Pipeline([NODE])
"""
APPEND = 'node(append, ["chain_before", "params:token", "params:pause"], "chain_after")'
OWN = 'node(own, ["params:token", "params:pause"], "own_{0}", name="own_{0}")'
ENTRY = """
{name}:
  type: pandas.SQLTableDataset
  credentials: dolt
  table_name: {table}
  save_args:
    if_exists: replace
    method: ${{dolt.bulk_load:n}}
"""


def _prepare(project: Project) -> None:
    """Add the pipelines ``chain`` and ``own_0`` to ``own_7`` to a project."""
    package = next((project.path / "src").glob("*/pipelines"))
    nodes = {"chain": APPEND, **{f"own_{k}": OWN.format(k) for k in range(AT_ONCE)}}
    for name, node in nodes.items():
        (package / name).mkdir()
        (package / name / "__init__.py").write_text(CODE.replace("NODE", node))
    entries = {"chain_before": "chain", "chain_after": "chain"}
    entries |= {f"own_{k}": f"own_{k}" for k in range(AT_ONCE)}
    with open(project.path / "conf" / "base" / "catalog.yml", "a") as file:
        file.writelines(ENTRY.format(name=name, table=table) for name, table in entries.items())
    with open(project.path / "conf" / "base" / "parameters.yml", "a") as file:
        file.write("\ntoken: 0\npause: 0.0\n")
    project.dolt("sql", "-q", "CREATE TABLE chain (n BIGINT PRIMARY KEY, token BIGINT, digest BIGINT)")
    project.dolt("sql", "-q", "INSERT INTO chain VALUES (0, 0, 1)")
    project.dolt("commit", "-Am", "The beginning of the chain")


def on_eight_branches(project: Project, generator: random.Random, rounds: int) -> Report:
    """All succeed, and each branch has its own runs' rows only."""
    _prepare(project)
    report = Report(f"{AT_ONCE} runs at once on {AT_ONCE} branches")
    tokens: dict[int, list[int]] = {k: [] for k in range(AT_ONCE)}
    for number in range(rounds):
        arguments = []
        for k in range(AT_ONCE):
            tokens[k].append(number * AT_ONCE + k)
            arguments.append(["--pipeline", "chain", "--params", _params(generator, tokens[k][-1], f"b{k}")])
        for end, output in _at_once(project, report, arguments):
            if end != "published":
                report.complain(f"round {number}", f"a run ended {end}", output)
    for k in range(AT_ONCE):
        if (found := _chain(project, report, f"b{k}")) != tokens[k]:
            report.complain(f"branch b{k}", f"has the runs {found}, not {tokens[k]}", "")
    return report


def on_one_branch(project: Project, generator: random.Random, rounds: int) -> Report:
    """What was published is a chain: each run computed from the one before it; the others are kept."""
    _prepare(project)
    report = Report(f"{AT_ONCE} runs at once on one branch, each reading what it writes")
    published, token = [], 0
    for number in range(rounds):
        arguments = []
        for _ in range(AT_ONCE):
            token += 1
            arguments.append(["--pipeline", "chain", "--params", _params(generator, token)])
        ends = _at_once(project, report, arguments)
        for arg, (end, output) in zip(arguments, ends, strict=True):
            mine = int(re.search(r"token=(\d+)", arg[-1])[1])  # type: ignore[index]
            if end == "published":
                published.append(mine)
            elif end == "refused":
                _check_kept(project, report, mine, output)
            else:
                report.complain(f"round {number}", f"a run ended {end}", output)
        if not any(end == "published" for end, _ in ends):
            report.complain(f"round {number}", "none was published", "")
    if sorted(found := _chain(project, report, "main")) != sorted(published):
        report.complain("all rounds", f"announced {sorted(published)}, in the log are {found}", "")
    return report


def with_tables_of_their_own(project: Project, generator: random.Random, rounds: int) -> Report:
    """All are published to one branch, and each commit holds its own run's table only."""
    _prepare(project)
    report = Report(f"{AT_ONCE} runs at once on one branch, tables of their own")
    before = len(project.log("main"))
    for number in range(rounds):
        arguments = [
            ["--pipeline", f"own_{k}", "--params", _params(generator, 1 + number * AT_ONCE + k)]
            for k in range(AT_ONCE)
        ]
        for end, output in _at_once(project, report, arguments):
            if end != "published":
                report.complain(f"round {number}", f"a run ended {end}", output)
    log = project.log("main")
    if len(log) - before != rounds * AT_ONCE:
        report.complain("all rounds", f"{len(log) - before} commits for {rounds * AT_ONCE} runs", "")
    for row in log[: len(log) - before]:
        token = int(json.loads(row["message"].split("with params ", 1)[1].splitlines()[0])["token"])
        table = f"own_{(token - 1) % AT_ONCE}"
        changed = project.changed_tables(row["parents"], row["commit_hash"])
        if changed - {"kedro_runs", "kedro_lineage", "kedro_nodes", "kedro_checks"} != {table}:
            report.complain(row["commit_hash"], f"holds {changed}, not {table} alone", "")
        values = project.query(f"SELECT DISTINCT token FROM {table} AS OF '{row['commit_hash']}'")
        if [line["token"] for line in values] != [str(token)]:
            report.complain(row["commit_hash"], f"{table} holds {values}, not {token}", "")
        report.commits += 1
    return report


def _params(generator: random.Random, token: int, branch: str | None = None) -> str:
    at = f",dolt_branch={branch}" if branch else ""
    return f"token={token},pause={generator.uniform(0, 0.5):.3f}{at}"


def _at_once(project: Project, report: Report, arguments: list[list[str]]) -> list[tuple[str, str]]:
    """Run all at once; returns how each ended, and what it printed."""
    outputs = [project.path.parent / f"output-{number}" for number in range(len(arguments))]
    processes = []
    for path, args in zip(outputs, arguments, strict=True):
        with open(path, "wb") as output:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "kedro", "run", *args],
                    cwd=project.path, env=project.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                )
            )  # fmt: skip
    found = []
    for process, path in zip(processes, outputs, strict=True):
        code, text = process.wait(timeout=600), path.read_text(errors="replace")
        end = "published" if code == 0 and "Committed" in text else f"with exit code {code}"
        if code == 1 and "is not published" in text:
            end = "refused"
        report.faults += 1
        report.ends[end] += 1
        found.append((end, text))
    # The last of them has stopped the server before it ended.
    if project.server_runs:
        report.complain("a round", "a server is left", "")
    if "No problems found" not in (words := project.dolt("fsck")):
        report.complain("a round", f"dolt fsck: {words}", "")
    return found


def _check_kept(project: Project, report: Report, token: int, output: str) -> None:
    """A run that was refused has named the branch that has its data."""
    branch = re.search(r"Its data is on the branch (kedro/[\w.:-]+?)\.(?: |$)", " ".join(output.split()))
    if not branch:
        report.complain(f"run {token}", "was refused and names no branch", output)
        return
    there = project.query(f"SELECT name FROM dolt_branches WHERE name = '{branch[1]}'")
    # Only the last ten are kept.
    if there and not project.query(f"SELECT n FROM chain AS OF '{branch[1]}' WHERE token = {token}"):
        report.complain(f"run {token}", f"its data is not on {branch[1]}", output)


def _chain(project: Project, report: Report, branch: str) -> list[int]:
    """The tokens of the runs of a branch in their order; each is checked against the one before it."""
    tokens, before = [], {"n": 0, "token": 0, "digest": 1}
    for row in reversed(project.log(branch)):
        if not (match := re.search(r'"token": (\d+)', row["message"])):
            continue
        token = int(match[1])
        rows = project.query(f"SELECT * FROM chain AS OF '{row['commit_hash']}' ORDER BY n DESC LIMIT 2")
        found = [{name: int(value) for name, value in line.items()} for line in rows]
        computed = {
            "n": before["n"] + 1, "token": token, "digest": (before["digest"] * 31 + token) % 1_000_003
        }  # fmt: skip
        if found != [computed, before]:
            report.complain(row["commit_hash"], f"has {found}, computed are {[computed, before]}", "")
        if ", " in row["parents"]:
            report.complain(row["commit_hash"], "is a merge", "")
        tokens.append(token)
        before = found[0]
        report.commits += 1
    return tokens
