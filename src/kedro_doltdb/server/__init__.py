"""Who runs the Dolt server and who uses it: one of ours on ``data/``, or somebody else's."""
