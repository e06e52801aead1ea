"""Evidence about tiers: labels, calibrations, evaluations, promotions and drift."""
