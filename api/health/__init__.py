"""Whether this installation works: readiness, metrics, the broker's state."""
