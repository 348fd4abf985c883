"""Review a pull request's data: what `.github/workflows/data-review.yml` runs. Only the standard library.

    python data_review.py run       # the pipeline on the pull request's data branch, into review/
    python data_review.py comment   # review/comment.md as one comment, which later ones replace
    python data_review.py merge     # the data branch's runs to the main data branch

Names and tokens come from the environment: see the workflow. A name is never part of a shell command.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

REVIEW = Path("review")
MARKER = "<!-- kedro-dolt data review -->"
BOT = "github-actions[bot]"
# GitHub takes 65,536 characters.
LONGEST = 60_000


def data_branch(code_branch: str) -> str:
    """Return the data branch of a branch of the code: `code/` and its name.

    What a data branch's name cannot have becomes a dash, and a hash keeps two such names apart.
    """
    parts = (re.sub(r"[^A-Za-z0-9_.-]+|\.\.+", "-", part).strip(".-") for part in code_branch.split("/"))
    slug = "/".join(re.sub(r"\.lock$", "-lock", part) for part in parts if part)[:80].strip("/.-")
    if slug != code_branch:
        digest = hashlib.sha256(code_branch.encode()).hexdigest()[:8]
        slug = f"{slug}-{digest}".lstrip("-")
    return f"code/{slug}"


def output(*command: str, cwd: str | None = None) -> str:
    """Return what a command prints; its messages go to the log."""
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def run(code_branch: str) -> int:
    """Run the pipeline, and write what it has changed to `review/`; return 1 if it is not to be merged."""
    main = output("dolt", "branch", "--show-current", cwd="data").strip()
    branch = data_branch(code_branch)
    done = subprocess.run(["kedro", "run", f'--params=dolt_branch="{branch}"'], check=False)
    if done.returncode:
        # What a failed or refused run has made is kept; the clone is new, so it is the only one.
        runs = json.loads(output("kedro", "dolt", "runs", "--all", "--limit=0", "--json"))
        branch = next((found["found_on"] for found in runs if not found["published"]), "")
    REVIEW.mkdir(exist_ok=True)
    if not branch:
        text = "**The run failed and changed no data.** Its log says why.\n"
        (REVIEW / "comment.md").write_text(text, encoding="utf-8")
        return 1
    # Not main as it is now: what others have merged meanwhile is no change of this branch.
    base = output("dolt", "merge-base", main, branch, cwd="data").strip()
    comparison = output("kedro", "dolt", "compare", base, branch, "--md")
    verdict = "" if done.returncode == 0 else "**The run was not published:** its log says why.\n\n"
    (REVIEW / "comment.md").write_text(verdict + comparison, encoding="utf-8")
    output("kedro", "dolt", "report", base, branch, f"--output={REVIEW / 'report.html'}")
    checked = subprocess.run(["kedro", "dolt", "check", base, branch], check=False)
    return 1 if done.returncode or checked.returncode else 0


def merge(code_branch: str) -> int:
    """Bring the runs of the data branch to the main one, and delete it; return 1 if that is refused."""
    branch = data_branch(code_branch)
    output("dolt", "fetch", "origin", cwd="data")
    known = output("dolt", "branch", "--all", cwd="data")
    if not re.search(rf"^\s*remotes/origin/{re.escape(branch)}\s*$", known, re.MULTILINE):
        print(f"There is no data branch {branch}: nothing to merge.")
        return 0
    output("dolt", "branch", "--force", branch, f"origin/{branch}", cwd="data")
    done = subprocess.run(["kedro", "dolt", "adopt", branch], check=False)
    if done.returncode:
        return 1
    output("dolt", "push", "origin", f":{branch}", cwd="data")
    return 0


def comment(api: str, repository: str, number: str, token: str, run_url: str) -> None:
    """Post `review/comment.md` to a pull request, in the place of what an earlier run has posted."""
    text = (REVIEW / "comment.md").read_text(encoding="utf-8")
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition("\n")[0] + "\n\n*The report has the rest.*"
    body = f"{MARKER}\n## What this changes in the data\n\n{text}\n\n[Report and log]({run_url})\n"
    issues = f"{api}/repos/{repository}/issues"
    page = 1
    while found := _request(f"{issues}/{int(number)}/comments?per_page=100&page={page}", token):
        for each in found:
            # Anybody may write the marker.
            if each["user"]["login"] == BOT and str(each["body"]).startswith(MARKER):
                _request(f"{issues}/comments/{int(each['id'])}", token, "PATCH", {"body": body})
                return
        page += 1
    _request(f"{issues}/{int(number)}/comments", token, "POST", {"body": body})


def _request(url: str, token: str, method: str = "GET", content: dict[str, str] | None = None) -> Any:
    request = urllib.request.Request(
        url,
        data=json.dumps(content).encode() if content else None,
        method=method,
        headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def main() -> int:
    """Do what the first argument says."""
    environment = os.environ
    if sys.argv[1:] == ["run"]:
        return run(environment["HEAD_REF"])
    if sys.argv[1:] == ["merge"]:
        return merge(environment["HEAD_REF"])
    if sys.argv[1:] == ["comment"]:
        comment(
            environment["GITHUB_API_URL"], environment["GITHUB_REPOSITORY"], environment["PR_NUMBER"],
            environment["GITHUB_TOKEN"], environment["RUN_URL"],
        )  # fmt: skip
        return 0
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
