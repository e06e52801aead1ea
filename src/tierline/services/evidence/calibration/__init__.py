"""Thresholds that keep a promise: the outcomes, the search, what is in force."""
