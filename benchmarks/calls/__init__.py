"""How long the product's own part of one call to a model takes."""
