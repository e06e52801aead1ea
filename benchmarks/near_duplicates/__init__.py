"""How long it takes to find what is alike in a dataset."""
