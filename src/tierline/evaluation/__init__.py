"""Whether a small model is good enough: two tiers on the same examples, compared in pairs.

`compare` computes the quality of each and their ratio; `recommendation` says what follows. Pure.
"""
