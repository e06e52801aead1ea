"""HTTP requests and answers: listening, headers, bodies, problems, connections for each route."""
