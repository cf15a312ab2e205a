"""Promises that hold for every input, tried by hypothesis on generated ones.

No sockets here either: a promise about all inputs belongs to a pure core.
"""
