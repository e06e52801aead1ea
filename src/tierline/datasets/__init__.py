"""Labelled inputs of a feature: duplicates, the split, and suspicious rows.

Pure: `unique_inputs` and `near_duplicates` find duplicates, `split` keeps them on one side,
`doubts` lists what a person should check.
"""
