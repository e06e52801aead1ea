"""Child processes: how they are started, identified, kept running and stopped."""
