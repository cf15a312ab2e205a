"""Samples of live answers that are pushed: taken in where they are made, kept for a while, and fetched like any others.

In: HTTP requests with what users asked and were answered. Out: the file of exchanges that `sluice.scoring.live` reads. `events` and `sample` are pure.
Nothing here knows Kubernetes, and nothing is stored.
"""
