"""Trainings, and what they make: routers and micro models."""
