"""From a request to a job that is written."""
