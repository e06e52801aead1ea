"""What is found out offline: labels, calibrations, evaluations, promotions, drift."""
