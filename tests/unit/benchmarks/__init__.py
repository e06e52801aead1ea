"""Parts of the benchmarks that need no server."""
