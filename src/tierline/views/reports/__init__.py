"""Costs, quality and the state of the installation."""
