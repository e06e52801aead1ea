"""What watches a tier in use: shadows, drift, promotions and their withdrawal."""
