"""Statements on jobs, attempts, hints, leases and queues."""
