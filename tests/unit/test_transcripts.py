"""What a page says is printed, against what is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.transcripts import Block, Result, Session, Unexpected, fill_in, play

PRINTED = ["Run  2026-11-28T01.24.03.408Z", "a  1.2s", "b", "b", "c  17:46"]
OLD = "Run    2025-01-01T00.00.00.000Z"


@pytest.mark.parametrize(
    ("page", "filled"),
    [
        ([OLD, "a  9.9s", "b", "b", "c  Nov 27 00:00"], PRINTED),
        ([OLD, "...", "c  00:00"], [PRINTED[0], "...", PRINTED[4]]),
        (["...", "b", "c  00:00"], ["...", "b", PRINTED[4]]),
        ([OLD, "..."], [PRINTED[0], "..."]),
        (["...", "a  0.1s", "..."], ["...", PRINTED[1], "..."]),
        (["...", "b", "...", "b", "..."], ["...", "b", "...", "b", "..."]),
    ],
)
def test_times_and_ids_are_filled_in(page: list[str], filled: list[str]) -> None:
    assert fill_in(page, PRINTED) == filled


@pytest.mark.parametrize(
    "page",
    [
        PRINTED[:-1],
        PRINTED[1:],
        [*PRINTED, "more"],
        ["...", "d", "..."],
        ["...", "b", "...", "b", "...", "b", "..."],
        ["...", "c  17:46", "...", "a  1.2s"],
        [OLD, "a  1.2", "..."],
        [*PRINTED, "...", "c  17:46"],
        [],
    ],
)
def test_what_was_not_printed_is_found(page: list[str]) -> None:
    assert fill_in(page, PRINTED) is None


PAGE = """\
In `conf/base.yml`, change this:

```yaml
ratio: 0.3
```

The file `data/a.csv`:

```csv
id
1
```

```bash
pip install something
cd data && echo a b     # what it is for
```

```text
a c
```

```sh
echo <name>
```

```text
$ echo d
...
```

```text
not after a command
```
"""


def test_a_page_is_typed_and_what_it_says_wrongly_is_told(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "base.yml").write_text("seed: 1\nratio: 0.2\n")
    typed, told = [], []

    def run(words: list[str], directory: Path, environment: Mapping[str, str]) -> Result:
        typed.append((words, directory.name))
        return Result(0, " ".join(words[1:]) + "\n", "")

    def wrong(block: Block, printed: list[str]) -> list[str]:
        told.append((block.lines, printed))
        return printed

    page = play(PAGE, Session(tmp_path, run, {}), wrong)
    assert typed == [(["echo", "a", "b"], "data"), (["echo", "d"], "data")]
    assert told == [(["a c"], ["a b"])] and page == PAGE.replace("a c\n", "a b\n")
    assert (tmp_path / "conf" / "base.yml").read_text() == "seed: 1\nratio: 0.3\n"
    assert (tmp_path / "data" / "a.csv").read_text() == "id\n1\n"


def test_a_command_that_fails_without_a_message_ends_it(tmp_path: Path) -> None:
    def run(words: list[str], directory: Path, environment: Mapping[str, str]) -> Result:
        return Result(1, "", "Traceback")

    with pytest.raises(Unexpected, match="Traceback"):
        Session(tmp_path, run, {}).type_line("kedro dolt runs")
