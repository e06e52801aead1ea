"""Commands that train: datasets, micro models, routers, fine-tuning."""
