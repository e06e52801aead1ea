"""Training micro models and routers, and the trained artefacts."""
