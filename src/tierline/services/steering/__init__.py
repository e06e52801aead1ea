"""What decides before and after a call: confidence, routers, micro models, later tiers."""
