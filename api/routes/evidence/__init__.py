"""Labels, calibrations, evaluations, promotions and drift."""
