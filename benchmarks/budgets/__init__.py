"""What keeping calls within a budget costs a job."""
