"""Values in paths and queries: ids, numbers, cursors, economics questions."""
