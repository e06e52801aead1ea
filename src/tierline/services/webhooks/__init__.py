"""Webhooks: announced, delivered, and who listens."""
