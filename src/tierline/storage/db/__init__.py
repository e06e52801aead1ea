"""How a process reaches Postgres: pools, retries, migrations, the tables."""
