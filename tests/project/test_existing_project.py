"""docs/existing_project.md, applied to a project that plain ``kedro new`` made."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT, dolt, run_kedro
from helpers import add_pipeline, branches, diff_types, query, server_is_running

PAGE = ROOT / "docs" / "existing_project.md"

PIPELINE = '''
"""What a warehouse has in stock: a text key, a key of three columns with a date, NULLs."""

import datetime as dt

import pandas as pd
from kedro.pipeline import Pipeline, node


def receive() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "shop": ["Zürich", "Zürich", "Bern", "Bern"],
            "article": ["tea", "Tea", "tea", "tea"],
            "day": [dt.date(2024, 2, 29), dt.date(2024, 2, 29), dt.date(2024, 2, 29), dt.date(1969, 12, 31)],
            "quantity": pd.array([3, None, 5, 7], dtype="Int64"),
            "note": ["", "NULL", None, "a\\nb"],
        }
    )


def count(deliveries: pd.DataFrame, surplus: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    deliveries["quantity"] = deliveries["quantity"].mask(deliveries["shop"] == "Bern", 5 + surplus)
    articles = deliveries.groupby("article").agg(last=("day", "max")).assign(price=[None, 1.5])
    return deliveries, articles.reset_index()


def check(stock: pd.DataFrame, articles: pd.DataFrame, deliveries: pd.DataFrame) -> None:
    assert set(stock["note"].dropna()) == {"", "NULL", "a\\nb"} and stock["note"].isna().sum() == 1
    assert stock["quantity"].isna().sum() == 1 and set(stock["shop"]) == set(deliveries["shop"])
    assert set(pd.to_datetime(stock["day"])) == set(pd.to_datetime(deliveries["day"]))
    assert list(articles["article"]) == ["Tea", "tea"]
    assert [None if pd.isna(price) else price for price in articles["price"]] == [None, 1.5]


def create_pipeline(**kwargs: object) -> Pipeline:
    return Pipeline(
        [
            node(receive, None, "deliveries", name="receive"),
            node(count, ["deliveries", "params:surplus"], ["stock", "articles"], name="count"),
            node(check, ["stock", "articles", "deliveries"], None, name="check"),
        ]
    )
'''

PARQUET = """
{name}:
  type: pandas.ParquetDataset
  filepath: data/{name}.parquet
"""


def block(language: str, marker: str) -> str:
    """The page's code block in ``language`` that has ``marker`` in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    [found] = [block for block in blocks if marker in block]
    return str(found)


def catalog() -> str:
    """The page's two kinds of entries with this project's names and keys, beside an entry that stays."""
    by_parts, stock = yaml.safe_load(block("yaml", "DoltTableDataset")).values()
    method = stock["save_args"]["method"]
    assert ":id}" in method
    stock["save_args"]["method"] = method.replace(":id}", ":shop,article,day}")
    entries = {
        "stock": {**stock, "table_name": "warehouse_stock"},
        "articles": {**by_parts, "table_name": "articles", "primary_key": "article"},
    }
    return PARQUET.format(name="deliveries") + yaml.safe_dump(entries)


@pytest.fixture(scope="module")
def plain(dolt_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of plain ``kedro new`` that has run on Parquet files; not to be changed."""
    directory = tmp_path_factory.mktemp("existing")
    run_kedro(directory, "new", "--name=Ware House", "--tools=none", "--example=n")
    project = directory / "ware-house"
    files = "".join(PARQUET.format(name=name) for name in ("deliveries", "stock", "articles"))
    add_pipeline(project, "stock", PIPELINE, files)
    with open(project / "conf" / "base" / "parameters.yml", "a") as file:
        file.write("surplus: 0\n")
    (project / "data").mkdir()
    run_kedro(project, "run")
    return project


@pytest.fixture
def existing(plain: Path, tmp_path: Path) -> Iterator[Path]:
    """The project, to be moved to Dolt; afterwards no server must be left of it."""
    project = tmp_path / "ware-house"
    shutil.copytree(plain, project)
    yield project
    assert not server_is_running(project)


def edit(project: Path, leave_out: str = "") -> None:
    """The page's edits, save for the lines of settings.py with ``leave_out``."""
    requirement = block("text", "kedro-doltdb")
    with open(project / "requirements.txt", "a") as file:
        file.write(requirement)
    lines = block("python", "CONFIG_LOADER_ARGS").splitlines(keepends=True)
    [settings] = (project / "src").glob("*/settings.py")
    with open(settings, "a") as file:
        file.writelines(line for line in lines if not leave_out or leave_out not in line)
    (project / "conf" / "base" / "catalog.yml").write_text(catalog(), encoding="utf-8")


def test_three_edits_move_a_project(existing: Path) -> None:
    edit(existing)
    (existing / ".gitignore").unlink()
    subprocess.run(["git", "init", "--quiet"], cwd=existing, check=True)
    assert "kedro dolt init\nkedro run\n" in block("bash", "kedro dolt init")
    run_kedro(existing, "dolt", "init")
    run_kedro(existing, "run")
    output = run_kedro(existing, "run", "--params", "surplus=4").stdout
    assert "warehouse_stock ~2. See it with" in output
    assert branches(existing) == ["main"]
    assert diff_types(existing, "warehouse_stock") == {"modified": 2}
    changed = "SELECT from_quantity, to_quantity FROM dolt_diff('HEAD~1', 'HEAD', 'warehouse_stock')"
    assert query(existing, changed) == [{"from_quantity": "5", "to_quantity": "9"}] * 2
    incremental = ("--runner=kedro_doltdb.IncrementalRunner", "--params", "surplus=4")
    # The first node has no inputs, and the last one no outputs.
    output = run_kedro(existing, "run", *incremental, COLUMNS="1000").stdout
    assert "2 of 3 nodes ran, 0 were taken from other runs, 1 were skipped" in output
    assert "changed no data" in output
    schema = dolt(existing, "schema", "show", "warehouse_stock", "articles")
    assert "PRIMARY KEY (`shop`,`article`,`day`)" in schema and "PRIMARY KEY (`article`)" in schema
    day = "SELECT day, note IS NULL AS no_note FROM warehouse_stock WHERE shop = 'Bern' ORDER BY day"
    assert query(existing, day) == [
        {"day": "1969-12-31", "no_note": "false"},
        {"day": "2024-02-29", "no_note": "true"},
    ]
    deliveries = pd.read_parquet(existing / "data" / "deliveries.parquet")
    assert list(deliveries["article"]) == ["tea", "Tea", "tea", "tea"]
    # The files of before are where they were, and no table is made of the entry that stayed.
    assert (existing / "data" / "stock.parquet").is_file()
    assert "deliveries" not in dolt(existing, "ls")
    git = ["git", "status", "--porcelain", "--untracked-files=all", "data"]
    seen = subprocess.run(git, cwd=existing, check=True, capture_output=True, text=True).stdout
    assert seen.split() == [
        "??",
        "data/articles.parquet",
        "??",
        "data/deliveries.parquet",
        "??",
        "data/stock.parquet",
    ]


@pytest.mark.parametrize(
    ("leave_out", "heading"),
    [
        ("HOOKS", "The run has not begun on Dolt, because `HOOKS` in settings.py has no `DoltHooks()`"),
        ("config_patterns", "Kedro does not read conf/*/dolt.yml"),
        ("custom_resolvers", "Unsupported interpolation type dolt.bulk_load"),
        ("kedro dolt init", "is not a Dolt repository"),
    ],
)
def test_an_edit_that_is_forgotten_leads_to_its_page(existing: Path, leave_out: str, heading: str) -> None:
    edit(existing, leave_out)
    done = run_kedro(existing, "run", check=False, COLUMNS="1000")
    assert done.returncode != 0
    assert heading in done.stdout + done.stderr
    assert heading in (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def test_raw_files_become_tables(existing: Path) -> None:
    edit(existing)
    (existing / "data" / "shops.csv").write_text("shop,since,area\nZürich,2001-05-06,12.5\nBern,,\n")
    [table] = yaml.safe_load(block("yaml", "initial_tables"))["initial_tables"].values()
    tables = {"shops": {**table, "file": "data/shops.csv", "primary_key": "shop"}}
    (existing / "conf" / "base" / "dolt.yml").write_text(yaml.safe_dump({"initial_tables": tables}))
    run_kedro(existing, "dolt", "init")
    assert query(existing, "SELECT * FROM shops") == [
        {"shop": "Bern", "since": "", "area": ""},
        {"shop": "Zürich", "since": "2001-05-06", "area": "12.5"},
    ]


def test_credentials_of_that_name_are_not_hidden(existing: Path) -> None:
    edit(existing)
    (existing / "conf" / "local" / "credentials.yml").write_text("dolt:\n  con: sqlite:///other.db\n")
    done = run_kedro(existing, "run", check=False, COLUMNS="1000")
    assert done.returncode == 1 and "has an entry `dolt`" in done.stderr and "Traceback" not in done.stderr
