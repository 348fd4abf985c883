"""What others wrote never reaches the terminal raw, and a command's standard output is its result alone."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, dolt, run_kedro
from helpers import query

from kedro_doltdb.cli.layout import Column, Data, Listing, Section, styled
from kedro_doltdb.cli.render import (
    print_delimited,
    print_json,
    print_listing,
    print_markdown,
    print_sections,
)
from kedro_doltdb.errors import ConfigError
from kedro_doltdb.terminal import get_logger, printable

ESCAPE = "\x1b]0;owned\x07\x1b[31m"
ODD = ESCAPE + "\x9b2J\u202e\u2028\r\x7f"


def raw(text: str) -> set[str]:
    """The characters that a terminal could obey, or that cannot be seen."""
    return {character for character in text if not character.isprintable() and character != "\n"}


def test_there_is_one_way_out() -> None:
    for path in sorted((ROOT / "src" / "kedro_doltdb").rglob("*.py")):
        if path.name in ("terminal.py", "log_console.py"):
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            where = ast.unparse(call.func)
            name = where.rpartition(".")[2]
            if name in ("print", "secho", "getLogger", "Console", "showwarning") or where in (
                "click.echo", "sys.stdout.write", "sys.stderr.write", "warnings.warn", "os.write",
            ):  # fmt: skip
                # The level of all loggers, the one module that stands alone, texts that are escaped, and
                # constant texts for developers.
                allowed = (
                    where == "out.print"
                    or where == "_console().print"
                    or (path.name, where) == ("credentials.py", "logging.getLogger")
                    or (path.name, where) == ("dolt_cli.py", "logging.getLogger")
                    or (path.name, where) == ("render.py", "Console")
                    or (where == "warnings.warn" and ast.unparse(call.args[1]) == "DeprecationWarning")
                )
                assert allowed, f"{path.name}:{call.lineno}: {where} goes around terminal.py"


def test_every_kind_of_output_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    sections = [
        Section(ODD, [ODD, "b"], [[ODD, "b\nc"]], ODD),
        Section("", ["a", "b"], [[styled(ODD, "red"), "b"]], styled(ODD, "dim"), folds=True),
    ]
    print_sections(sections)
    listing = Listing([Column(ODD, [ODD, "b"])], Data([ODD, "b"], [[ODD, None]]), [styled(ODD, "dim")])
    print_listing(listing)
    print_listing(listing, wide=True)
    print_delimited(listing.data, ",")
    print_markdown(sections)
    print_json({ODD: [ODD, "\U000e0001", 1.5]})
    captured = capsys.readouterr()
    assert raw(captured.out) == {"\t"} and "\\x1b" in captured.out
    assert json.loads(captured.out.splitlines()[-1]) == {ODD: [ODD, "\U000e0001", 1.5]}
    assert not raw(str(ConfigError(f"No {ODD}").message))


def test_cells_that_spreadsheets_and_tables_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["=1+1", "+A1", "-A1", "@SUM(A1)", "a|b", "<script>", "![x](y)", "a\n| b", "&lt;", "-1.5", "+2"]
    print_markdown([Section("", ["h"] * len(cells), [cells])])
    row = capsys.readouterr().out.splitlines()[2]
    assert row == (
        r"| \=1+1 | \+A1 | \-A1 | \@SUM(A1) | a\|b | \<script\> | \!\[x\](y) | a\\n\| b | \&lt; | -1.5 | +2 |"
    )


def test_log_lines_are_escaped_and_not_marked_up(caplog: pytest.LogCaptureFixture) -> None:
    logger = get_logger("kedro_doltdb.test")
    logger.warning("Table %s has %d rows, %s.", ODD, 3, ValueError(ESCAPE))
    logger.warning(f"[/red]{ODD}")
    assert not raw(caplog.text) and "has 3 rows" in caplog.text
    assert all(record.markup is False for record in caplog.records)  # type: ignore[attr-defined]
    alone = logging.getLogger("kedro_doltdb.dolt_cli")
    alone.warning("%s", ODD)
    assert not raw(caplog.text)


def test_printable_is_what_it_was_where_nothing_is_odd() -> None:
    assert printable("Zürich 中 😀 a\\n", lines=True) == "Zürich 中 😀 a\\n"
    assert printable("a\nb") == "a\\nb" and printable("a\nb", lines=True) == "a\nb"


@pytest.mark.thorough
def test_an_escape_in_every_name_and_value(project: Path) -> None:
    run_kedro(project, "run", "--params=odd=1")
    (row,) = query(project, "SELECT run_id FROM kedro_runs")
    quoted = ODD.replace("'", "''").replace("`", "``")
    text = f"a{quoted}"
    params = json.dumps({text: {text: text}}).replace("\\", "\\\\")
    statements = [
        f"CREATE TABLE `t{quoted}` (`k{quoted}` VARCHAR(99) PRIMARY KEY, `c{quoted}` TEXT)",
        f"INSERT INTO `t{quoted}` VALUES ('{text}', '{text}')",
        f"UPDATE kedro_runs SET error = '{text}', status = 'a\x1b[1m', pipeline = '{text}', "
        "git_commit = 'a\x1b', "
        f"branch = '{text}', params = '{params}', filters = '{params}', versions = '{params}'",
        "INSERT INTO kedro_lineage (run_id, node, dataset, direction, table_name, file, content_hash) "
        f"VALUES ('{row['run_id']}', '{text}', '{text}', 'load', 't\x1b', '{text}', 'h\x1b'), "
        f"('{row['run_id']}', '{text}', '{text}', 'save', NULL, '{text}', 'h\x1b'), "
        f"('run\x1b[1m', '{text}', 'broken', 'eat', NULL, NULL, NULL), "
        f"('run\x1b[1m', 'n', 'd', 'save', 't', NULL, NULL)",
        f"INSERT INTO kedro_runs (run_id, params) VALUES ('run\x1b[1m', '{params}'), ('bad\x1b[1m', '[]')",
        f"UPDATE example_metrics SET metric = '{text}' WHERE metric = 'accuracy'",
        f"CALL DOLT_COMMIT('-Am', '{text}', '--author', 'A\x1b[1m <a\x1b@b>')",
        f"UPDATE `t{quoted}` SET `c{quoted}` = 'b\x1b'",
        f"UPDATE kedro_runs SET params = '{{\"a\x9b\": 1}}' WHERE run_id = '{row['run_id']}'",
        f"CALL DOLT_COMMIT('-am', 'Update data from Kedro run {row['run_id']} with params {ODD}')",
        f"UPDATE `t{quoted}` SET `c{quoted}` = '{text}'",
    ]
    for statement in statements:
        dolt(project, "sql", "-q", statement)
    calls = [
        ["runs"], ["runs", "--json"], ["runs", "--csv"], ["runs", "--wide"], ["show", row["run_id"]],
        ["show", row["run_id"], "--json"], ["show", ESCAPE],
        ["runs", f"--branch={ESCAPE}"], ["runs", f"--sort={ESCAPE}"],
        ["compare", "HEAD~1", "HEAD"], ["compare", "HEAD~2", "HEAD", "--json"],
        ["compare", "HEAD~2", "HEAD", "--md"], ["compare", ESCAPE], ["lineage", text], ["lineage", ESCAPE],
        ["lineage", "example_metrics"], ["blame", f"t{ODD}"], ["blame", "example_metrics"], ["blame", ESCAPE],
        ["status"], ["rerun", row["run_id"]], ["rerun", ESCAPE],
    ]  # fmt: skip
    everything = ""
    for call in calls:
        done = run_kedro(project, "dolt", *call, check=False)
        assert raw(done.stdout) <= {"\t"} and not raw(done.stderr), call
        assert "Traceback" not in done.stderr, done.stderr
        if "--json" in call:
            json.loads(done.stdout)
        everything += done.stdout + done.stderr
    assert everything.count("\\x1b") > 50


@pytest.mark.thorough
def test_an_existing_project_whose_log_is_on_standard_output(project: Path) -> None:
    (project / "conf" / "logging.yml").unlink()
    run_kedro(project, "run")
    run_kedro(project, "run", "--params=example_test_data_ratio=0.3")
    program = Path(sys.executable).with_name("kedro-dolt")
    done = subprocess.run(
        [program, "compare", "--md"], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("|") and done.stderr.count("INFO") == 1
    done = subprocess.run(
        [program, "runs", "--json"], cwd=project, capture_output=True, text=True, check=True
    )
    assert len(json.loads(done.stdout)) == 2
    done = subprocess.run(
        [program, "runs", "--help"], cwd=project, capture_output=True, text=True, check=True
    )
    assert "Example: kedro dolt runs" in done.stdout
    # What Kedro says before it asks any plugin comes first, and nothing after it.
    done = run_kedro(project, "dolt", "rerun", json.loads(
        run_kedro(project, "dolt", "runs", "--json").stdout.splitlines()[-1])[0]["run_id"])  # fmt: skip
    assert done.stdout.count("INFO") == 1 and "Completed node" in done.stderr
