"""Thresholds that keep a promise: their statistics, samples and checks."""
