"""Coverage of the interval of `tierline eval` when an evaluation is extended."""
