"""What is found out about tiers offline: labels, calibrations, evaluations, promotions, drift."""
