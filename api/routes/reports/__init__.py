"""Queues, circuits, usage, and reports on a feature."""
