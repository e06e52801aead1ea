"""The maintenance that runs once a minute, retention, and the readings for health."""
