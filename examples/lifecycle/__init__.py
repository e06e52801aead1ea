"""The life of a feature: from the frontier alone to a classifier of its own, and back."""
