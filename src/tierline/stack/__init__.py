"""The embedded servers and the supervisor behind `tierline up`.

Real PostgreSQL, Valkey and llama.cpp from plain wheels, run as children of one process, durable
under one home. Nothing here knows jobs or tables; DATABASE_URL and REDIS_URL replace the servers.
"""
