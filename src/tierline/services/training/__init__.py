"""Training micro models and routers on a feature's own rows, and storing them."""
