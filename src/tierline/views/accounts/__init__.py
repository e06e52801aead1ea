"""Accounts, and the log of what people did."""
