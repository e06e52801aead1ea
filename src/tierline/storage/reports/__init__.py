"""Statements that only read: usage, costs, the last hour."""
