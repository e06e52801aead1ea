"""Features, drafts and the models that they name."""
