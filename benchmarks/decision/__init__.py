"""How long a routing decision takes, without embeddings."""
