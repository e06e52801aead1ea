"""Whether a feature's inputs and answers still are what its evidence was made on.

`wealth` is the arithmetic of looking again and again, `looks` one look at a day's inputs. Pure.
"""
