"""Faults that a real API server shows too rarely to wait for: cut lines, half lists, lost answers, silence.

**The API server here is a fake**, a scripted HTTP server on 127.0.0.1 (`scripted.py`): it answers what a test tells it to answer and
proves nothing about Kubernetes. That the real one behaves as scripted is the business of `tests/cluster`.
"""
