"""A project's data in Python: notebooks and scripts that read, compare and query it."""
