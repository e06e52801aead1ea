"""Statements on long operations."""
