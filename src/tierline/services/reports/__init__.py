"""What callers are told about a feature's costs, quality and state."""
