"""What the product serves of public data that the user brings."""
