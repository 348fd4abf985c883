"""How long kedro-dolt takes, as ratios to other ways to the same end. `make bench` runs all of it."""
