"""What is trained on a feature's own outcomes: complexity routers and micro models."""
