"""Access to Postgres: pools, retries, migrations, the tables."""
