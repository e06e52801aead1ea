"""How often a calibration succeeds at the number of outcomes that a dry run recommended."""
