"""After release: detectors that watch for a change, with a stated average run length to a false alarm. Pure; numpy only.

In: a reference that is frozen with the baseline, and observations in the order in which they were made. Out: a state of a few kilobytes, and an alarm once.
`mean` and `distribution` are the detectors, both on `detector`; `distances` are reports, never gates; `silence` is for monitors that say nothing at all.
"""
