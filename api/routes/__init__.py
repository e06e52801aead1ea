"""The routes, in folders as in services/. Each file covers one subject and has a `router`."""
