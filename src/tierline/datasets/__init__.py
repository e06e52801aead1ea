"""Labelled inputs of a feature: duplicates, the split, and suspicious rows.

Pure: `alike` finds duplicates, `split` keeps them on one side, `doubts` lists what a person should
check.
"""
