"""Batches: taken in by parts, finished, emptied."""
