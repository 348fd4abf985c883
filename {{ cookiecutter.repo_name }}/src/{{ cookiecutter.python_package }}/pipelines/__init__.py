"""The pipelines; each one is a package with a function ``create_pipeline``."""
