"""Webhooks: announced, delivered, and the endpoints that receive them."""
