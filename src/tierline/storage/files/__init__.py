"""Statements on uploaded files."""
