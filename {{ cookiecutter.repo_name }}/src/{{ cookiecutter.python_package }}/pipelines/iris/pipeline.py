"""The order in which the nodes run, and the datasets between them."""

from typing import Any

from kedro.pipeline import Node, Pipeline

from .nodes import make_predictions, report_accuracy, split_data


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Split the data, predict the test samples' target, measure how often that is right."""
    return Pipeline(
        [
            Node(
                split_data,
                inputs=[
                    "example_iris_data",
                    "params:example_test_data_ratio",
                    "params:example_random_state",
                    "params:example_target_column",
                ],
                outputs=["example_train_x", "example_train_y", "example_test_x", "example_test_y"],
                name="split_data",
            ),
            Node(
                make_predictions,
                inputs=[
                    "example_train_x",
                    "example_train_y",
                    "example_test_x",
                    "params:example_target_column",
                ],
                outputs="example_predictions",
                name="make_predictions",
            ),
            Node(
                report_accuracy,
                inputs=["example_predictions", "example_test_y", "params:example_target_column"],
                outputs="example_metrics",
                name="report_accuracy",
            ),
        ]
    )
