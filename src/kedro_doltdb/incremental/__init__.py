"""What a node was computed from: its code, its parameters, its catalog entries, its data."""
