"""What the webhook knows at the moment of a request, and the verdict that follows for a Pod.

What is not known well enough is not decided: a world that is not synced, or too old, or that has not seen the namespace yet, answers *hold* with NotReady.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sluice.decision.gate import Action, Decision, decide_canary_pod, decide_drill_pod, decide_pod
from sluice.decision.model import Release
from sluice.decision.pod import PodView
from sluice.decision.reasons import Reason
from sluice.decision.records import Key
from sluice.decision.runs import Run
from sluice.decision.scratch import home_of
from sluice.decision.weights import Check, WeightsProblem, checks_for
from sluice.decision.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The world at `now`. `blind` says why it cannot be relied on; empty when it can."""

    world: World
    now: datetime
    blind: str = ""

    def governs(self, namespace: str) -> bool:
        """Whether the namespace is known, and opted in."""
        known = self.world.namespaces.get(namespace)
        return known is not None and known.governed

    def judge(self, pod: PodView, namespace: str) -> Decision:
        """Decide about a Pod, or the template of one, in `namespace`. Raises nothing but what a defect raises."""
        if self.blind:
            return _not_ready(self.blind)
        known = self.world.namespaces.get(namespace)
        if known is None:
            # The API server knows a new namespace a moment before our watch does.
            return _not_ready(f"namespace {namespace} is not known to it yet")
        subject = None if pod.release is None else self.world.subject(home_of(pod, known), pod.release, now=self.now, where=namespace)
        serves = self.world.serves((image.digest for image in pod.images if image.digest), namespace)
        return decide_pod(pod, known, subject, serves=serves)

    def checks(self, pod: PodView, namespace: str) -> tuple[Check, ...] | WeightsProblem:
        """What the Pod has to check before it loads its weights, or why that cannot be told."""
        known = self.world.namespaces.get(namespace)
        if self.blind or pod.release is None or known is None or not known.governed:
            return ()
        release = self.world.releases.get(Key(namespace=home_of(pod, known), name=pod.release))
        if not isinstance(release, Release):
            return ()
        return checks_for(pod, release, self.world.verifier)

    def judge_of_run(self, pod: PodView, namespace: str) -> Decision:
        """Decide whether a Pod may start for the canary run that it belongs to."""
        if self.blind:
            return _not_ready(self.blind)
        known, run = self.world.namespaces.get(namespace), self.world.canaries.runs.get(Key(namespace=namespace, name=pod.canary_run or ""))
        if known is None or not isinstance(run, Run):
            return _not_ready(f"namespace {namespace} or CanaryRun {pod.canary_run} is not known to it yet")
        subject = None if pod.release is None else self.world.subject(namespace, pod.release, now=self.now)
        return decide_canary_pod(pod, known, subject, run)

    def judge_of_drill(self, pod: PodView, namespace: str) -> Decision:
        """Decide whether a Pod may start for the drill that it belongs to."""
        if self.blind:
            return _not_ready(self.blind)
        known = self.world.namespaces.get(namespace)
        home = None if known is None else self.world.namespaces.get(home_of(pod, known))
        drill = None if home is None else self.world.drills.get(Key(namespace=home.name, name=pod.drill or ""))
        if known is None or home is None or drill is None:
            return _not_ready(f"namespace {namespace} or ReleaseDrill {pod.drill} is not known to it yet")
        subject = None if pod.release is None else self.world.subject(home.name, pod.release, now=self.now, where=namespace)
        return decide_drill_pod(pod, known, subject, drill, home=home)


def _not_ready(why: str) -> Decision:
    return Decision(
        action=Action.HOLD, reason=Reason.NotReady, message=f"the webhook cannot decide now: {why}",
        remedy="nothing to do if it passes within a minute; else look at the Pods and logs of sluice-webhook",
    )  # fmt: skip
