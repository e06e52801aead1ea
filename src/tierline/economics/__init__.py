"""What a feature costs at a volume, for several ways to run it: estimates in USD with intervals.

Pure: `estimates` are amounts with intervals, `scenarios` are ways to run a feature and their
break-even volumes, `levers` is what would save most.
"""
