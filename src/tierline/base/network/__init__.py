"""URLs of brokers and model servers, and HTTP connections with deadlines."""
