"""Recorded outcomes, replayed through the routing."""
