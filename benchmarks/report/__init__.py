"""How long a report on a million calls takes."""
