"""Feature files: drafts, applying, and the models that the files name."""
