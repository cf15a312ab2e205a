"""Clients of model servers: one case in, one bounded answer out, or why there is none."""
