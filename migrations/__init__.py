"""The database's migrations, run by `tierline db upgrade`: forward only, expand then contract."""
