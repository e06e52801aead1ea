"""Training micro models and routers, and what came out of it."""
