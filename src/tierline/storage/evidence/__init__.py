"""Statements on labels, outcomes, calibrations, evaluations, promotions and drift."""
