"""Reports on a feature's costs, quality and state."""
