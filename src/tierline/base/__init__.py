"""Shared by all layers: errors, settings, logs, ids, text and JSON."""
