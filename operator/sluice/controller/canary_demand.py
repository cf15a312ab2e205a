"""Whether a canary run is still asked for, and may go on.

What a release comes to lack while it is asked is found at its Pods, which the gate judges at each look. Where pairs are recorded there are no Pods, so the
release itself is looked at: a roll-back is for ever, and must not come of a recording that nobody vouches for any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.api.canary import CanaryDecision
from sluice.controller.canary_start import asked_for
from sluice.decision.model import Allowance
from sluice.decision.reasons import Reason
from sluice.decision.run_reasons import RunReason
from sluice.rollout.comparison import Waiting
from sluice.rollout.endings import Ending

if TYPE_CHECKING:
    from sluice.api.canary import CanarySpec
    from sluice.cluster.client import Object
    from sluice.decision.model import Verdict


def demand(run: Object, spec: CanarySpec, verdict: Verdict | None) -> Waiting | None:
    """Say what an undecided run has to wait for, `verdict` being that on its release now; None when it may go on. Raises `Ending` when it may not any more."""
    if verdict is None:
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.ReleaseGone, f"there is no ModelRelease {spec.release.name} any more")
    if verdict.allows is Allowance.CANARY and not asked_for(run, verdict.due):
        raise Ending(
            CanaryDecision.INCONCLUSIVE, RunReason.NotAskedFor, "policy, suite or baseline is another one now, and this comparison would count for nothing"
        )
    if spec.recording is None or verdict.allows is not Allowance.NOTHING:
        return None
    lacks = verdict.open[0] if verdict.open else None
    why = f"{spec.release.name} may not be scored now" + (f": {lacks.requirement}: {lacks.message}" if lacks else "")
    if verdict.unverified or not (run.get("status") or {}).get("startedAt"):
        return Waiting(reason=str(lacks.reason if lacks else Reason.NotReady), message=why)
    raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.NotPermitted, why)
