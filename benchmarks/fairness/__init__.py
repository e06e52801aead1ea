"""What a flood, and a backfill, cost a quiet account and the queue's throughput."""
