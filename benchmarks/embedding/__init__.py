"""How long a sentence embedding takes."""
