"""Who asks: API keys, scopes, rates, and what a caller may see."""
