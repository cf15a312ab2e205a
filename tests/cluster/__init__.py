"""Promises that only a real Kubernetes cluster can break, tried on the embedded one.

One cluster for the whole run, one namespace for each test; both are gone afterwards.
"""
