"""A Kedro project whose data is a Dolt repository."""

__version__ = "0.1.0"
