"""Recorded traffic becomes cases and pairs."""
