"""Statements on feature versions."""
