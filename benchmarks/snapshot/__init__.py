"""A job's steps while a snapshot is held open and many jobs pass."""
