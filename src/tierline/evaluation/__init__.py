"""Whether a small model is good enough: two tiers on the same examples, compared pair by pair.

`compare` says how good each is and how the one stands to the other, `verdict` what follows. Pure.
"""
