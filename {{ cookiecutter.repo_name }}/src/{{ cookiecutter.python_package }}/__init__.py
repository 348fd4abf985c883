"""A Kedro project whose data lie in a Dolt repository."""

__version__ = "0.1.0"
