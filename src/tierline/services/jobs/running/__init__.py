"""A worker's road of an attempt: claim, calls, checks, end; and what recovers it."""
