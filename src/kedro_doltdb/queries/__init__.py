"""What users ask of runs and data: lists, comparisons, blame, the status. How it is shown is for others."""
