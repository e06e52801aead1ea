"""Features, their drafts and models."""
