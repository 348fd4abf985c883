"""What Kedro's datasets see of Dolt, and what we see of them."""
