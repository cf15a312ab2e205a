"""Scoring: a candidate beside its baseline, on the same cases, and what the difference is worth.

In: cases, two endpoints, margins and error rates. Out: statistics that merge exactly, and one decision: promote, roll back, or not yet known.
`statistics`, `scorers` and `drift` are pure; `protocols` and `worker` talk to model servers. Nothing here knows Kubernetes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.scoring.statistics.decide import decide
    from sluice.scoring.statistics.engine import Decision

__all__ = ["Decision", "decide"]


def __getattr__(name: str) -> object:
    """Give the engine to who asks for it: the webhook, which only looks whether a suite can be used, does without numpy."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sluice.scoring.statistics import decide, engine  # noqa: PLC0415 - see above

    return engine.Decision if name == "Decision" else decide.decide
