"""BANKING77: a distilled micro tier beside local models that were told the labels alone."""
