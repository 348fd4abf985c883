"""Speaks SQL to one Dolt server: connections, branches, commits, remotes. It knows nothing of Kedro."""
