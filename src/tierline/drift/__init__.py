"""Whether a feature's inputs and answers are still like those that its evidence is based on.

`wealth` is the arithmetic of repeated tests, `daily_check` the check of a day's inputs. Pure.
"""
