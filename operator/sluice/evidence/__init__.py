"""Verified statements and the raw files they name come in; measurements, and `Fact`s for the decision, go out.

Pure: no clock, no network. Imports `sluice.provenance` and nothing else of Sluice. The producer's own verdict is never read. Start at `facts`.
"""
