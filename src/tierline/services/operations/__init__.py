"""Long operations of the server: one child process each, under a lease, to be cancelled."""
