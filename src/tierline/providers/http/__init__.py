"""HTTP to model servers: requests, responses, errors, several servers as one."""
