"""Statements on accounts and keys."""
