"""The cost of a job's steps beside millions of finished ones, against a new database."""
