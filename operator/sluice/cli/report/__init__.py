"""What a canary run came to, for people: `sluice canary watch` and `sluice canary report`.

In: a CanaryRun as the API server gives it, or the statistics of its scorers. Out: sentences, a page with drawings, numbers as JSON. Everything but the drawings
is text; they need matplotlib, which is imported by `plots` alone.
"""
