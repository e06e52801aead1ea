"""Coverage and power of the threshold search beside other methods."""
