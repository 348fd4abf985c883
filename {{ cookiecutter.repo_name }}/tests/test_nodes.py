"""What the nodes compute, without Kedro and Dolt."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest


@pytest.fixture(scope="session")
def iris(project_path: Path) -> pd.DataFrame:
    return pd.read_csv(project_path / "data" / "01_raw" / "iris.csv")


def test_split_gives_every_sample_to_one_set(nodes: ModuleType, iris: pd.DataFrame) -> None:
    train_x, train_y, test_x, test_y = nodes.split_data(iris, 0.2, 3, "species")

    assert (len(train_x), len(test_x)) == (120, 30)
    assert sorted([*train_x["sample_id"], *test_x["sample_id"]]) == list(range(1, 151))
    assert list(train_y["sample_id"]) == list(train_x["sample_id"])
    assert list(test_y.columns) == ["sample_id", "species"]
    assert "species" not in test_x.columns


def test_smaller_test_set_is_part_of_a_larger_one(nodes: ModuleType, iris: pd.DataFrame) -> None:
    ratios = [0.01, 0.1, 0.2, 0.5, 0.99]
    drawn = [set(nodes.split_data(iris, ratio, 3, "species")[2]["sample_id"]) for ratio in ratios]

    assert all(small < large for small, large in zip(drawn, drawn[1:], strict=False))


def test_edited_label_moves_no_sample(nodes: ModuleType, iris: pd.DataFrame) -> None:
    edited = iris.assign(species=iris["species"].mask(iris["sample_id"] == 7, "virginica"))

    before, after = (nodes.split_data(data, 0.2, 3, "species") for data in (iris, edited))

    pd.testing.assert_frame_equal(before[0], after[0])
    pd.testing.assert_frame_equal(before[2], after[2])


def test_order_of_the_rows_does_not_matter(nodes: ModuleType, iris: pd.DataFrame) -> None:
    shuffled = iris.sample(frac=1, random_state=0)

    for one, other in zip(
        nodes.split_data(iris, 0.2, 3, "species"), nodes.split_data(shuffled, 0.2, 3, "species"), strict=True
    ):
        pd.testing.assert_frame_equal(one, other)


def test_another_random_state_draws_other_samples(nodes: ModuleType, iris: pd.DataFrame) -> None:
    three, four = (set(nodes.split_data(iris, 0.2, seed, "species")[2]["sample_id"]) for seed in (3, 4))

    assert three != four


@pytest.mark.parametrize("ratio", [0, 1, -0.1, 1.5, float("nan"), "0.2", True, None, 0.001, 0.999])
def test_ratio_that_leaves_a_set_empty_is_refused(nodes: ModuleType, iris: pd.DataFrame, ratio: Any) -> None:
    with pytest.raises(ValueError, match="example_test_data_ratio"):
        nodes.split_data(iris, ratio, 3, "species")


def test_missing_target_is_named(nodes: ModuleType, iris: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="no column 'colour'"):
        nodes.split_data(iris, 0.2, 3, "colour")


def test_nearest_sample_decides_and_the_lowest_id_breaks_a_tie(nodes: ModuleType) -> None:
    train_x = pd.DataFrame({"sample_id": [9, 2, 5], "size": [1.0, 3.0, 9.0]})
    train_y = pd.DataFrame({"sample_id": [2, 5, 9], "species": ["b", "c", "a"]})
    test_x = pd.DataFrame({"sample_id": [1, 3], "size": [2.0, 8.0]})

    predictions = nodes.make_predictions(train_x, train_y, test_x, "species")

    assert predictions.to_dict("list") == {"sample_id": [1, 3], "species": ["b", "c"]}


def test_accuracy_is_the_part_of_right_predictions(nodes: ModuleType) -> None:
    predictions = pd.DataFrame({"sample_id": [1, 2, 3, 4], "species": ["a", "a", "b", "b"]})
    test_y = pd.DataFrame({"sample_id": [4, 3, 2, 1], "species": ["b", "b", "b", "a"]})

    metrics = nodes.report_accuracy(predictions, test_y, "species")

    assert metrics.to_dict("list") == {"metric": ["accuracy", "test_rows"], "value": [0.75, 4.0]}
