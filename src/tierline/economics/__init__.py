"""What a feature costs at a volume, one way or another: estimates in USD, each with its interval.

Pure: `estimates` are amounts and their intervals, `scenarios` ways to run a feature and where they
break even, `levers` what would save most.
"""
