"""Whether a small model is worth trying for a feature: signals for and against, with weights.

Pure: each function in `signals` turns a fact into a direction; `recommend` weighs them. Signals are
not proof: an evaluation must confirm them.
"""
