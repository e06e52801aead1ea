"""Which jobs go to the workers next, and the hints that say so."""
