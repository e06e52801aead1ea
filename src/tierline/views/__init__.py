"""The API's answers: rows as the JSON of the API, of webhooks and of a backfill's output."""
