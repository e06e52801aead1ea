"""What is done once a minute, and what is cleared away."""
