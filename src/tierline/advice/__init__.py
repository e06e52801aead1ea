"""Whether a small model is worth trying for a feature: signals for it and against it, weighed.

Pure: `signals` are one function each, from what is known to where it points; `recommend` weighs
them. Signals, not rules: an evaluation confirms what they say.
"""
