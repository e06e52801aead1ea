"""Files that OpenAI's clients upload: stored in parts, read, deleted, removed when they expire."""
