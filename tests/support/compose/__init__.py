"""What runs docker-compose.yml without a registry of images."""
