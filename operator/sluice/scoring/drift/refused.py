"""What a detector refuses, in words for the person who set it up or feeds it."""

from __future__ import annotations


class DriftRefused(ValueError):
    """A setting, a reference, an observation or a stored state that cannot be used; the message says which value, and what would do."""
