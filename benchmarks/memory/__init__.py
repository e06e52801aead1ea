"""A worker's memory over many jobs."""
