"""The commands ``kedro dolt ...``: what each asks, and how it prints the answer."""
