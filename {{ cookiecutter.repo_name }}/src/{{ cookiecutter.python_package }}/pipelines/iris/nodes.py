"""What the pipeline computes. Every table has a row a sample, in the order of ``sample_id``."""

import hashlib
import logging

import pandas as pd

KEY = "sample_id"

logger = logging.getLogger(__name__)


def split_data(
    data: pd.DataFrame, test_data_ratio: float, random_state: int, target_column: str
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Split the samples into a training and a test set.

    Where a sample goes depends on its ``sample_id`` and the random state alone. So the test set of a smaller
    ratio is part of that of a larger one, and an edited sample stays where it was: a diff between two runs
    shows what has changed, not a reshuffle.

    Args:
        data: ``sample_id``, the features and the target.
        test_data_ratio: the part of the samples that is for testing, between 0 and 1.
        random_state: another value draws other test samples.
        target_column: the column to predict.

    Returns:
        The features and the target for training, the features and the target for testing.

    Raises:
        ValueError: a column is missing, or the ratio leaves one of the sets empty.
    """
    for column in (KEY, target_column):
        if column not in data.columns:
            raise ValueError(f"The data has no column '{column}', its columns are {', '.join(data.columns)}.")
    data = data.sort_values(KEY, ignore_index=True)
    drawn = sorted(data[KEY], key=lambda key: hashlib.sha256(f"{random_state}:{key}".encode()).digest())
    in_test = data[KEY].isin(drawn[: _count_test_rows(test_data_ratio, len(data))])
    train, test = data[~in_test].reset_index(drop=True), data[in_test].reset_index(drop=True)
    target = [KEY, target_column]
    return train.drop(columns=target_column), train[target], test.drop(columns=target_column), test[target]


def _count_test_rows(ratio: float, rows: int) -> int:
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio < 1:
        raise ValueError(f"example_test_data_ratio must be a number between 0 and 1, not {ratio!r}.")
    count = round(ratio * rows)
    if not 0 < count < rows:
        raise ValueError(
            f"example_test_data_ratio {ratio} leaves no {'training' if count else 'test'} sample of {rows}."
        )
    return count


def make_predictions(
    train_x: pd.DataFrame, train_y: pd.DataFrame, test_x: pd.DataFrame, target_column: str
) -> pd.DataFrame:
    """Give every test sample the target of the training sample nearest to it.

    Args:
        train_x: ``sample_id`` and the features of the training samples.
        train_y: ``sample_id`` and the target of the training samples.
        test_x: ``sample_id`` and the features of the test samples.
        target_column: the column to predict.

    Returns:
        ``sample_id`` and the predicted target of the test samples. Of training samples that are equally near,
        the one with the lowest ``sample_id`` counts.
    """
    features = [column for column in train_x.columns if column != KEY]
    train = train_x.merge(train_y, on=KEY, validate="one_to_one").sort_values(KEY)
    known, asked = train[features].to_numpy(dtype=float), test_x[features].to_numpy(dtype=float)
    distances = ((asked[:, None, :] - known[None, :, :]) ** 2).sum(axis=2)
    nearest = distances.argmin(axis=1)
    return pd.DataFrame({KEY: test_x[KEY], target_column: train[target_column].to_numpy()[nearest]})


def report_accuracy(predictions: pd.DataFrame, test_y: pd.DataFrame, target_column: str) -> pd.DataFrame:
    """Measure how often the prediction is right.

    Args:
        predictions: ``sample_id`` and the predicted target.
        test_y: ``sample_id`` and the true target.
        target_column: the column that was predicted.

    Returns:
        The metrics ``accuracy`` and ``test_rows``, a row each, in the columns ``metric`` and ``value``.
    """
    both = predictions.merge(test_y, on=KEY, suffixes=("_predicted", "_true"), validate="one_to_one")
    accuracy = float((both[f"{target_column}_predicted"] == both[f"{target_column}_true"]).mean())
    logger.info("Accuracy on %d test samples: %.3f", len(both), accuracy)
    return pd.DataFrame({"metric": ["accuracy", "test_rows"], "value": [accuracy, float(len(both))]})
