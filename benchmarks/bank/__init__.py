"""BANKING77: a distilled micro tier beside local models whose prompt has the labels alone."""
