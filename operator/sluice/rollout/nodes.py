"""Whether a candidate that does not answer has a node that lives.

A missing answer counts as the worst one, and a rollback is for good. A node that dies takes the answers of a good candidate with it, and Kubernetes says so
only after most of a minute. So before missing answers roll anything back, one more sign of life of its node is waited for: kubelets renew a Lease every ten
seconds. Users do not meet the candidate meanwhile.

Limit: a node that lives, and whose network is cut off from the scorers alone, is not told from a candidate that is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sluice.api.canary import CanaryDecision
from sluice.cluster.client import ApiClient
from sluice.cluster.errors import Forbidden, NotFound
from sluice.cluster.resource import LEASES
from sluice.decision.run_reasons import RunReason
from sluice.rollout.endings import Ending
from sluice.scoring.tally import CANDIDATE, Merged

SILENCE_SECONDS: Final = 60.0
"""After so long without a sign of life a node is taken for dead: Kubernetes itself takes less."""
_NAMESPACE: Final = "kube-node-lease"


@dataclass(slots=True, kw_only=True)
class Doubt:
    """Since when a node is waited for, and what was last heard of it by then."""

    since: datetime | None = None
    heard: str = ""


def unanswered(merged: Merged) -> int:
    """Count the answers of the candidate that are missing."""
    sides = [look.sums.get(CANDIDATE, {}) for look in merged.looks]
    return sum(max(0, side.get("Asked", 0) - side.get("Answered", 0)) for side in sides)


async def waits_for(client: ApiClient, node: str, doubt: Doubt, *, now: datetime) -> str:
    """Say what is waited for; empty when the node lives, or nobody can know. Raises `Ending` when it is silent for too long, and `ApiError`."""
    try:
        lease = await client.get(LEASES.path(_NAMESPACE, node)) if node else {}
    except (NotFound, Forbidden):
        lease = {}
    heard = str((lease.get("spec") or {}).get("renewTime") or "")
    if doubt.since is None:
        doubt.since, doubt.heard = now, heard
    if not heard or heard != doubt.heard:
        return ""
    if (now - doubt.since).total_seconds() > SILENCE_SECONDS:
        message = f"node {node} of the candidate has been silent since {heard}, and what the candidate would have answered nobody knows"
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.CandidateLost, message)
    return f"answers of the candidate are missing, and it would be rolled back; a sign of life of its node {node} is waited for"
