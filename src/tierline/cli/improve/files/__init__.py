"""The files of examples and labels that commands read."""
