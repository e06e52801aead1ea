"""Statements on the circuits of models."""
