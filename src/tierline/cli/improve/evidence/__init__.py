"""Commands about evidence: labels, calibrations, evaluations, promotions, drift."""
