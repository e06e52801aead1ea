"""Feature files: drafted, applied, and the models that they name."""
