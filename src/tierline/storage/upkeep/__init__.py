"""Statements that remove content."""
