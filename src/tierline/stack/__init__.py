"""The embedded servers and the supervisor of `tierline up`.

PostgreSQL, Valkey and llama.cpp come from wheels, run as children of one process, and keep their
data in one home folder. This package knows nothing of jobs or tables. DATABASE_URL and REDIS_URL
replace the servers.
"""
