"""/v1/jobs and what was decided about them."""
