"""Reads files of examples and of labels for the commands."""
