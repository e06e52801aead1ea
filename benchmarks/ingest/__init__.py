"""Rows of a batch taken in over HTTP, beside a bare COPY into the same tables."""
