"""After release: detectors that watch for a change, with a stated average run length to a false alarm. Pure; numpy only."""
