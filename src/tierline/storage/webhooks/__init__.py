"""Statements on endpoints and deliveries."""
