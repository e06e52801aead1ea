"""What waits and runs, what was used, and reports of a feature."""
