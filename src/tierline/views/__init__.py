"""What callers are shown: rows as the JSON of the API, of webhooks and of a backfill's output."""
