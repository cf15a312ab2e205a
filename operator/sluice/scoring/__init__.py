"""Scoring: a candidate beside its baseline, on the same cases, and what the difference is worth.

In: cases, two endpoints, margins and error rates. Out: statistics that merge exactly, and one decision: promote, roll back, or not yet known.
`statistics`, `scorers` and `drift` are pure; `protocols` and `worker` talk to model servers. Nothing here knows Kubernetes.
"""

from sluice.scoring.statistics.decide import decide
from sluice.scoring.statistics.engine import Decision

__all__ = ["Decision", "decide"]
