"""The rules of the product as values: states, verdicts, leases, limits. Plain Python, no I/O."""
