"""A review of two runs as one HTML file."""
