"""The APGR of routers beside prompt length, kNN and the oracle."""
