"""Shared by commands: the API's client, tables, options."""
