"""Access tokens of providers that do not take an API key."""
