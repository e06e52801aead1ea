"""Reads a feature file's keys, one file for each; `tierline.features.parse` calls them."""
