"""How well a calibrated confidence tells right answers from wrong ones, by a real small model."""
