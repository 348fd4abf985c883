"""What the journal says of the error that ended a run."""

from __future__ import annotations

import pytest
from kedro.io import DataCatalog, DatasetError
from kedro_datasets.pandas import SQLTableDataset

from kedro_doltdb.run.kedro_params import error_line


def test_of_a_datasets_error_the_journal_has_the_reason() -> None:
    class Broken(SQLTableDataset):  # type: ignore[misc]
        def load(self) -> None:
            raise KeyError("no such column\nand more")

    catalog = DataCatalog({"sales": Broken(table_name="sales", credentials={"con": "sqlite://"})})
    with pytest.raises(DatasetError) as caught:
        catalog.load("sales")
    assert "SQLTableDataset" in str(caught.value) or "Broken" in str(caught.value)
    assert error_line(caught.value) == "KeyError: 'no such column\\nand more'"


def test_other_errors_are_told_as_they_are() -> None:
    assert error_line(ValueError("first\nsecond")) == "ValueError: first"
    assert error_line(DatasetError("no cause")) == "DatasetError: no cause"
