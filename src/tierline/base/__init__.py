"""What every layer uses and no subject owns: errors, settings, logs, ids, text and JSON."""
