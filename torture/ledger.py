"""What must be true of a project's data after every fault."""

from __future__ import annotations

import json
import re

from .project import Project

TABLES = (
    "example_metrics",
    "example_predictions",
    "example_test_x",
    "example_test_y",
    "example_train_x",
    "example_train_y",
)
RATIOS = (0.1, 0.2, 0.3, 0.4)


class Ledger:
    """Remembers what a project has announced, and holds its repository to it.

    A run of the iris pipeline is determined by its ratio: the content of its tables is known beforehand, from
    a run that nothing disturbed.

    Args:
        project: a new project; the table ``notes`` for a user's edits is added to it.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.announced: set[str] = set()
        self.commits = 0
        self.note = "nothing yet"
        self._expected: dict[float, dict[str, str]] = {}
        self._seen: set[str] = set()
        self._told: set[str] = set()
        project.dolt("sql", "-q", "CREATE TABLE notes (id INT PRIMARY KEY, text TEXT)")
        project.dolt("sql", "-q", f"INSERT INTO notes VALUES (1, '{self.note}')")
        project.dolt("commit", "-Am", "A user's table")
        for ratio in RATIOS:
            code, output = project.kedro("run", "--params", f"example_test_data_ratio={ratio}")
            assert code == 0, output
            self.heard(output)
            self._expected[ratio] = self._hashes("main")

    def edit(self, text: str) -> None:
        """Edit a row as a user does, without a commit."""
        self.project.dolt("sql", "-q", f"UPDATE notes SET text = '{text}'")
        self.note = text

    def heard(self, output: str) -> None:
        """Note the commits that a run has announced."""
        self.announced |= set(re.findall(r"Committed (\w{10}) to main", output))

    def complaints(self) -> list[str]:
        """What is wrong, when no run is under way, and was not before: nothing, if all is well."""
        found = [complaint for complaint in self._complaints() if complaint not in self._told]
        self._told |= set(found)
        return found

    def _complaints(self) -> list[str]:
        project = self.project
        found = leftovers(project)
        if project.server_runs:
            return found
        found += self._log_complaints()
        if (note := project.query("SELECT text FROM notes")[0]["text"]) != self.note:
            found.append(f"the user's edit {self.note!r} is lost: it is {note!r}")
        return found

    def _log_complaints(self) -> list[str]:
        found = []
        log = self.project.log("main")
        if missing := {
            one for one in self.announced if not any(row["commit_hash"][:10] == one for row in log)
        }:
            found.append(f"announced commits are gone: {missing}")
        if gone := self._seen - {row["commit_hash"] for row in log}:
            found.append(f"commits are gone from the log: {gone}")
        for row in log:
            if row["commit_hash"] in self._seen:
                continue
            self.commits += 1
            if ", " in row["parents"]:
                found.append(f"{row['commit_hash']} is a merge")
            if match := re.search(r'"example_test_data_ratio": ([\d.]+)', row["message"]):
                if self._hashes(row["commit_hash"]) != self._expected.get(float(match[1])):
                    found.append(
                        f"{row['commit_hash']} does not hold what its run computed: {row['message']}"
                    )
            elif row["message"].startswith("Uncommitted edits found before Kedro run"):
                changed = self.project.changed_tables(row["parents"], row["commit_hash"])
                if changed != {"notes"}:
                    found.append(f"{row['commit_hash']} holds more than the user's edit: {changed}")
            elif self._seen:
                found.append(f"{row['commit_hash']} is of nobody: {row['message']}")
        self._seen |= {row["commit_hash"] for row in log}
        return found

    def _hashes(self, ref: str) -> dict[str, str]:
        selected = ", ".join(f"dolt_hashof_table('{table}') AS {table}" for table in TABLES)
        return self.project.query(f"USE `data/{ref}`; SELECT {selected}")[0]


def leftovers(project: Project) -> list[str]:
    """What is left of runs or broken when no run is under way: nothing, if all is well."""
    if project.server_runs:
        return ["a server is left"]
    found = []
    state = project.data / ".dolt" / "kedro"
    if leases := [path.name for path in (state / "leases").iterdir()]:
        found.append(f"leases are left: {leases}")
    for path in (state / "runs").iterdir():
        if path.suffix == ".tmp" or (
            path.suffix == ".json" and json.loads(path.read_text())["status"] != "kept"
        ):
            found.append(f"{path.name} is left of a run")
    # Where multiprocessing is killed, its manager's socket stays.
    if files := [path.name for path in project.temporary.iterdir() if not path.name.startswith("pymp-")]:
        found.append(f"temporary files are left: {files[:5]}")
    branches = {row["name"] for row in project.query("SELECT name FROM dolt_branches")}
    if half_moved := [branch for branch in branches if branch.startswith("kedro/moving/")]:
        found.append(f"branches are half moved: {half_moved}")
    if "No problems found" not in (report := project.dolt("fsck")):
        found.append(f"dolt fsck: {report}")
    return found
