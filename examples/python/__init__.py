"""Short programs that use the Python client."""
