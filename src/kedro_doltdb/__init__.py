"""Dolt as the versioned database of a Kedro project.

The package is the mechanism behind the ``kedro-dolt`` starter: the server's life, a run as a
transaction, keyed bulk loads. See ``docs/design_decisions.md`` for why each part is as it is.
"""

__version__ = "0.1.0"
