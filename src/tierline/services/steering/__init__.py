"""Which tier of its feature answers a job: see `tier_path`."""
