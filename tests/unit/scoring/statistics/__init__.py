"""Tests of the statistics: numbers that are known otherwise, and promises kept on simulated data with a fixed seed."""
