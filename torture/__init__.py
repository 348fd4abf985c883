"""Faults by the hundred, with the real Dolt and Kedro, and a check after each: `make torture`."""
