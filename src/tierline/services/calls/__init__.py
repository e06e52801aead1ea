"""Calls to models: admitted, booked, made, settled."""
