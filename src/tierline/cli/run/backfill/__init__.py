"""`tierline backfill`: run a feature over a file or a folder, and write every result."""
