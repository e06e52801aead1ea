"""Long operations of the server. Each runs in its own child process, under a lease, and can be
cancelled.
"""
