"""Samples of live answers that are pushed."""
