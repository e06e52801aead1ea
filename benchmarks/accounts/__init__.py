"""A choice among many waiting accounts."""
