"""Evaluations of tiers: planned, run step by step, judged, and whether they are still valid."""
