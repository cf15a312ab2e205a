"""Hands: what is done to workloads once it is decided.

In: a raw object as the API server has it, and a judge. Out: at most one change of that object, which tests that the object is still the one judged.
Imports `decision` for the answer and `cluster` for the writing; knows neither kopf nor queues.
"""
