"""Batches: accepted in parts, completed or cancelled, their content removed."""
