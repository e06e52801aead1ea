"""How long it takes to know what a call costs."""
