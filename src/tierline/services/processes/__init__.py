"""What a process of the product is started with: its connections and its wake-ups."""
