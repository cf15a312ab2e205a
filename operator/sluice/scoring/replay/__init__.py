"""Recorded traffic: as cases for both sides to answer, and as pairs that both sides have answered.

In: JSON Lines that a gateway, a server or a mirror wrote. Out: cases without personal data, with a manifest; or differences. Asks nobody.
"""
