"""What can be seen of the webhook from outside. Labels are ours (path, action, reason): their number is bounded, whatever is sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from sluice.decision.gate import Action
from sluice.decision.reasons import Reason

# Deciding takes a fraction of a millisecond; the API server gives up after seconds.
_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """One registry for each server."""

    def __init__(self, *, world_age_seconds: Callable[[], float], certificate_expires: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        labels = ("path", "action", "reason")
        requests = Counter("sluice_admission_requests_total", "Admission reviews answered.", labels, registry=self._registry)
        durations = Histogram(
            "sluice_admission_duration_seconds", "From the whole request to its answer.", ("path",), registry=self._registry, buckets=_BUCKETS
        )
        self._refused = Counter("sluice_admission_unanswered_total", "Requests that got no review.", ("cause",), registry=self._registry)
        age = Gauge("sluice_world_age_seconds", "Since the API server last proved that everything decided on is up to date.", registry=self._registry)
        age.set_function(world_age_seconds)
        expiry = Gauge("sluice_serving_certificate_expiry_seconds", "When the serving certificate ends, as Unix time.", registry=self._registry)
        expiry.set_function(certificate_expires)
        # A child of a metric is found by its labels once; after that it is called directly.
        self._count = cache(lambda path, action, reason: requests.labels(path, action, reason).inc)
        self._observe = cache(lambda path: durations.labels(path).observe)

    def answered(self, path: str, action: Action, reason: Reason, *, seconds: float) -> None:
        """Count one answer."""
        self._count(path, action, reason)()
        self._observe(path)(seconds)

    def unanswered(self, cause: str) -> None:
        """Count a request that got an HTTP error instead of a review."""
        self._refused.labels(cause).inc()

    def render(self) -> bytes:
        """Write all of it in Prometheus' text format. Takes its time: call it in a thread."""
        return generate_latest(self._registry)
