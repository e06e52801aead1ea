"""/v1/jobs, and the decisions about them."""
