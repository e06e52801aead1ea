"""Statements on batches."""
