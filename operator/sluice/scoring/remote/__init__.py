"""Scorers that somebody else runs: containers of one's own, and language models as judges.

In: a case with the answers of both sides. Out: differences, and beside them how good the scorer itself is. May import protocols and scorers.
"""
