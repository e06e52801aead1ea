"""Removal of content."""
