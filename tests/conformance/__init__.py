"""Doors for public conformance suites: thin clients in the words of each suite, on top of the same functions as everything else."""
