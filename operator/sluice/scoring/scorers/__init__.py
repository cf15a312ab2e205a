"""Scorers: a case and an answer in, a number in [0, 1] out; gates: what must not occur even once.

All are pure and deterministic: no clock, no network, no randomness, so that a run can be repeated and two shards agree.
May import the shapes of `sluice.scoring.case` and `sluice.scoring.answer`, and strict JSON; nothing else of Sluice.
"""
