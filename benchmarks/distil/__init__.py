"""How long distilling takes."""
