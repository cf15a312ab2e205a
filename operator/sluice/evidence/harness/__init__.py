"""Raw outputs of evaluation tools come in, `Measurement`s go out: a file for each tool, and `raw`, which tells whose a file is.

A new tool is one file with `recognises` and `read`, and a line in `raw`. Each knows when a run is not whole and refuses it, and refuses what it does not
understand. Where a file holds its samples, numbers are computed from them (`scores`); imports nothing else of `sluice.evidence` but `measurement`.
"""
