"""Scoring: cases, order, tallies, the worker."""
