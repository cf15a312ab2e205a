"""Tests of Sluice: `unit` (no sockets, fast), `property` (hypothesis), `faults` (a scripted server) and `cluster` (a real API server and node).

Helpers stand beside the tests that use them. A test is named by a sentence that can be false.
"""
