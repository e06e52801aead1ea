"""POST /v1/jobs against hand-written endpoints that write the same rows."""
