"""Commands on feature files."""
