"""Labelled inputs of a feature: which of them are alike, how they are split, what is odd of them.

Pure: `alike` finds duplicates, `split` keeps them on one side, `doubts` lists what a person should
look at.
"""
